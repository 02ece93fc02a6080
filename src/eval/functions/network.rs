//! IP network functions, over addresses as 128-bit numbers.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::argument::{number, spend_items, string, text, whole};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError};
use crate::value::{Type, Value};

fn a_string(_: &[Type]) -> Type {
    Type::String
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        function("cidrhost", "The address of a host in a network.", a_string, cidrhost)
            .takes("prefix", Type::String)
            .takes("hostnum", Type::Number),
        function("cidrnetmask", "The mask of an IPv4 network.", a_string, |_, a| {
            let prefix = text(&a[0])?;
            let network = Network::parse(prefix).map_err(FunctionError::new)?;
            if network.bits == 128 {
                return Err(FunctionError::new(format!("IPv6 addresses cannot have a netmask: {prefix}")));
            }
            Ok(string(Network { address: network.mask(), ..network }.address_text()))
        })
        .takes("prefix", Type::String),
        function("cidrsubnet", "A network in a network.", a_string, cidrsubnet)
            .takes("prefix", Type::String)
            .takes("newbits", Type::Number)
            .takes("netnum", Type::Number),
        function("cidrsubnets", "Networks one behind the other in a network.", strings, cidrsubnets)
            .takes("prefix", Type::String)
            .rest("newbits", Type::Number),
    ]
}

fn strings(_: &[Type]) -> Type {
    Type::list(Type::String)
}

/// The most bits that `cidrsubnets` extends by, as in Terraform.
const EXTENSION_MAX: i64 = 32;

#[derive(Debug, Clone, Copy)]
struct Network {
    /// The address, without host bits.
    address: u128,
    /// How many bits tell the network.
    prefix: u32,
    /// 32 or 128.
    bits: u32,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address_text(), self.prefix)
    }
}

/// An IPv4 address; a field may have leading zeros and is decimal all the same, as Terraform keeps it from Go's past.
fn parse_v4(text: &str) -> Option<u128> {
    let fields: Vec<&str> = text.split('.').collect();
    if fields.len() != 4 {
        return None;
    }
    fields.iter().try_fold(0, |address, field| {
        let digits = !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
        let field: u128 = field.parse().ok().filter(|n| digits && *n <= 255)?;
        Some(address << 8 | field)
    })
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| format!("invalid CIDR expression: invalid CIDR address: {text}"))
    }

    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, bits) = match parse_v4(address) {
            Some(address) => (address, 32),
            None => (u128::from(address.parse::<Ipv6Addr>().ok()?), 128),
        };
        let prefix: u32 = prefix.parse().ok().filter(|p| *p <= bits && prefix.bytes().all(|b| b.is_ascii_digit()))?;
        let network = Self { address, prefix, bits };
        Some(Self { address: address & network.mask(), ..network })
    }

    fn host_bits(&self) -> u32 {
        self.bits - self.prefix
    }

    /// The greatest number of a host.
    fn last_host(&self) -> u128 {
        if self.host_bits() == 128 { u128::MAX } else { (1 << self.host_bits()) - 1 }
    }

    fn mask(&self) -> u128 {
        let all = if self.bits == 128 { u128::MAX } else { u128::from(u32::MAX) };
        all & !self.last_host()
    }

    fn address_text(&self) -> String {
        match u32::try_from(self.address) {
            Ok(v4) if self.bits == 32 => Ipv4Addr::from(v4).to_string(),
            _ => Ipv6Addr::from(self.address).to_string(),
        }
    }
}

/// A whole number of up to 128 bits with sign; what is beyond is beyond any network, too.
fn wide(value: &Value) -> Result<i128, FunctionError> {
    let n = number(value)?;
    if !n.is_whole() {
        return Err(FunctionError::new("value must be a whole number"));
    }
    let (significand, exponent) = n.parts();
    let beyond = if n.is_negative() { i128::MIN } else { i128::MAX };
    Ok(i128::try_from(significand)
        .ok()
        .and_then(|s| s.checked_mul(1i128.checked_shl(u32::try_from(exponent).ok()?).filter(|p| *p > 0)?))
        .unwrap_or(beyond))
}

fn cidrhost(_: &CallContext<'_>, args: &[Value]) -> Called {
    let host = wide(&args[1])?;
    let network = Network::parse(text(&args[0])?).map_err(FunctionError::new)?;
    let last = network.last_host();
    // Negative numbers count from the end, -1 being the last host.
    let distance = if host < 0 { (-(host + 1)).unsigned_abs() } else { host.unsigned_abs() };
    if distance > last {
        let shown = if host < 0 { i128::try_from(last).unwrap_or(i128::MAX) + (host + 1) } else { host };
        let message = format!("prefix of {} does not accommodate a host numbered {shown}", network.prefix);
        return Err(FunctionError::new(message));
    }
    let host = if host < 0 { last - distance } else { distance };
    Ok(string(Network { address: network.address | host, ..network }.address_text()))
}

fn cidrsubnet(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (new_bits, subnet) = (whole(&args[1])?, wide(&args[2])?);
    let network = Network::parse(text(&args[0])?).map_err(FunctionError::new)?;
    let extended = u32::try_from(new_bits).map_err(|_| FunctionError::at(1, "the prefix cannot become shorter"));
    let prefix = network.prefix.saturating_add(extended?);
    if prefix > network.bits {
        let message = format!("insufficient address space to extend prefix of {} by {new_bits}", network.prefix);
        return Err(FunctionError::new(message));
    }
    let made = Network { prefix, ..network };
    let fits = u128::try_from(subnet).ok().filter(|n| n.checked_shr(made.prefix - network.prefix).unwrap_or(0) == 0);
    let Some(number) = fits else {
        let message = format!("prefix extension of {new_bits} does not accommodate a subnet numbered {subnet}");
        return Err(FunctionError::new(message));
    };
    let shifted = number.checked_shl(made.host_bits()).unwrap_or(0);
    Ok(string(Network { address: made.address | shifted, ..made }.to_string()))
}

fn cidrsubnets(context: &CallContext<'_>, args: &[Value]) -> Called {
    let network = Network::parse(text(&args[0])?).map_err(|why| FunctionError::at(0, why))?;
    let end = network.address | network.last_host();
    spend_items(context, args.len())?;
    let mut last: Option<Network> = None;
    let mut all = Vec::new();
    for (i, arg) in args.iter().enumerate().skip(1) {
        let fail = |message: String| Err(FunctionError::at(i, message));
        let new_bits = whole(arg).map_err(|e| FunctionError::at(i, e.message))?;
        if new_bits < 1 {
            return fail("must extend prefix by at least one bit".into());
        }
        if new_bits > EXTENSION_MAX {
            return fail(format!("may not extend prefix by more than {EXTENSION_MAX} bits"));
        }
        let prefix = network.prefix + u32::try_from(new_bits).unwrap_or(0);
        if prefix > network.bits {
            let protocol = if network.bits == 32 { "IPv4" } else { "IPv6" };
            return fail(format!("would extend prefix to {prefix} bits, which is too long for an {protocol} address"));
        }
        let size = Network { prefix, ..network }.last_host();
        // From the end of the one before, up to the next place where one of this size may begin.
        let address = match last {
            None => Some(network.address),
            Some(last) => (last.address | last.last_host())
                .checked_add(1)
                .and_then(|next| next.checked_add(size))
                .map(|next| next & !size)
                .filter(|address| *address <= end),
        };
        let Some(address) = address else {
            let after = last.map_or(String::new(), |l| l.to_string());
            return fail(format!(
                "not enough remaining address space for a subnet with a prefix of {prefix} bits after {after}"
            ));
        };
        let made = Network { address, prefix, bits: network.bits };
        all.push(string(made.to_string()));
        last = Some(made);
    }
    Ok(Value::list(Type::String, all))
}
