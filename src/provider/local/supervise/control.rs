//! The supervisor's side of the control socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::protocol::{Answer, Failure, LINE_MAX, Question, VERSION};
use super::service::Service;
use crate::provider::ProblemClass;

/// How long a caller may take to say what it wants.
const LISTEN: Duration = Duration::from_secs(10);

/// Answers for ever.
pub(super) async fn serve(listener: UnixListener, service: Arc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    converse(stream, &service).await;
                    service.end_if_over();
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn converse(stream: UnixStream, service: &Arc<Service>) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read).take(LINE_MAX as u64);
    let Ok(Ok(1..)) = tokio::time::timeout(LISTEN, read.read_line(&mut line)).await else { return };
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) if question.v == VERSION => service.answer(question.request).await,
        Ok(_) | Err(_) => Answer::Failed(Failure::new(
            ProblemClass::Invalid,
            "The service's supervisor was started by another version of Gantry and does not understand this one. Destroy the service with \
             the version that started it, or end that process.",
        )),
    };
    let mut text = serde_json::to_string(&answer).expect("invariant: an answer is plain data");
    text.push('\n');
    let _ = write.write_all(text.as_bytes()).await;
    let _ = write.shutdown().await;
}
