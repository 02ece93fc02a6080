//! The terminal, where something is typed that must not be shown.

use std::io::Stdin;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// The longest line that is taken.
const LINE_MAX: usize = 1024;

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Puts the terminal back to what it was, however its reader leaves.
struct Restored<'t> {
    terminal: &'t Stdin,
    before: Termios,
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        // There is nothing else that could be done about it.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// A line that is typed at the terminal that is this process's standard input, and that is not shown. `ready` is called once
/// nothing is shown any more. `None` where it is no terminal, or the typing was broken off.
#[must_use]
pub fn hidden_line(ready: impl FnOnce()) -> Option<String> {
    let terminal = std::io::stdin();
    let before = tcgetattr(&terminal).ok()?;
    let mut silent = before.clone();
    // Signals too: whoever types Ctrl-C here wants to stop the asking, and nobody else reads the key.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    silent.special_codes[SpecialCodeIndex::VMIN] = 1;
    silent.special_codes[SpecialCodeIndex::VTIME] = 0;
    let _restored = Restored { terminal: &terminal, before };
    tcsetattr(&terminal, OptionalActions::Flush, &silent).ok()?;
    ready();
    String::from_utf8(typed(&terminal)?).ok()
}

fn typed(terminal: &Stdin) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match rustix::io::read(terminal, &mut byte) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(1..) => {}
            _ => return None,
        }
        match byte[0] {
            b'\r' | b'\n' => return Some(line),
            CTRL_C | CTRL_D => return None,
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => {
                // A character, not a byte.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            _ if line.len() == LINE_MAX => return None,
            byte => line.push(byte),
        }
    }
}
