//! An engine that lacks BuildKit: the real one behind a server that declines `/grpc`.

use std::sync::atomic::Ordering;

/// A server that answers as an engine without BuildKit does: 404 to `/grpc`.
/// It ends with the test.
pub struct NoBuildKit {
    pub address: String,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NoBuildKit {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // Everything but /grpc is passed to the real engine.
                std::thread::spawn(move || pass(stream));
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for NoBuildKit {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(self.address.trim_start_matches("tcp://"));
        let _ = self.thread.take().unwrap().join();
    }
}

fn pass(mut client: std::net::TcpStream) {
    use std::io::{Read, Write};
    let mut head = [0; 8192];
    let Ok(read) = client.read(&mut head) else { return };
    if head[..read].starts_with(b"POST /grpc") || head[..read].starts_with(b"POST /session") {
        let _ = client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    let Ok(mut engine) = std::os::unix::net::UnixStream::connect("/var/run/docker.sock") else { return };
    let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    if to.write_all(&head[..read]).is_err() {
        return;
    }
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut engine, &mut client);
}
