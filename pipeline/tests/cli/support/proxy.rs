use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// A way to the engine that can be cut, so that it seems to have gone away, and restored.
pub(crate) struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    serving: Option<Serving>,
}

/// What happens to what arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Connections are accepted, and nothing ever comes back.
    Swallow,
    /// Requests whose first line has this text are answered as a server with too many parts does.
    Refuse(&'static str),
    /// Inserts of more bytes are answered as a gateway does that takes no more.
    Limit(usize),
}

/// One life of the listener.
struct Serving {
    is_over: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A way to an address such as `http://127.0.0.1:8123`.
    pub(crate) fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut proxy = Self { address, target, serving: None };
        proxy.serve(Mode::Forward);
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks all connections and refuses new ones.
    pub(crate) fn cut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.is_over.store(true, Ordering::Release);
            // The listener closes with its thread.
            serving.accepting.join().unwrap();
            for stream in serving.open.lock().unwrap().drain(..) {
                // One that the other side has closed is closed.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Lets everything through again, at the same address.
    pub(crate) fn restore(&mut self) {
        self.cut();
        self.serve(Mode::Forward);
    }

    /// Breaks all connections, takes new ones, and answers nothing.
    pub(crate) fn stall(&mut self) {
        self.cut();
        self.serve(Mode::Swallow);
    }

    /// Breaks all connections; from now on requests whose first line has this text fail.
    pub(crate) fn refuse(&mut self, text: &'static str) {
        self.cut();
        self.serve(Mode::Refuse(text));
    }

    /// Breaks all connections; from now on inserts of more bytes, head and framing included, get a 413.
    pub(crate) fn limit(&mut self, n_bytes: usize) {
        self.cut();
        self.serve(Mode::Limit(n_bytes));
    }

    /// Connections taken since the proxy stalled.
    pub(crate) fn n_swallowed(&self) -> usize {
        self.serving.as_ref().map_or(0, |serving| serving.open.lock().unwrap().len())
    }

    fn serve(&mut self, mode: Mode) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        // A thread that waits in `accept` could not be told to stop.
        listener.set_nonblocking(true).unwrap();
        let (is_over, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let (target, stop, streams) = (self.target, is_over.clone(), Arc::clone(&open));
        let accepting = thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                match listener.accept() {
                    Ok((client, _)) => connect(client, target, mode, &streams).unwrap(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_millis(2));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        self.serving = Some(Serving { is_over, open, accepting });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

fn connect(
    client: TcpStream,
    target: SocketAddr,
    mode: Mode,
    open: &Mutex<Vec<TcpStream>>,
) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let mut open = open.lock().unwrap();
    open.push(client.try_clone()?);
    if mode == Mode::Swallow {
        return Ok(());
    }
    let server = TcpStream::connect(target)?;
    open.push(server.try_clone()?);
    match mode {
        Mode::Refuse(text) => pipe_others(client.try_clone()?, server.try_clone()?, text),
        Mode::Limit(n_bytes) => pipe_small(client.try_clone()?, server.try_clone()?, n_bytes),
        Mode::Forward | Mode::Swallow => pipe(client.try_clone()?, server.try_clone()?),
    }
    pipe(server, client);
    Ok(())
}

/// Copies requests but those with a text in their first line, which are refused.
fn pipe_others(mut client: TcpStream, mut server: TcpStream, text: &'static str) {
    const REFUSAL: &str = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\
        X-ClickHouse-Exception-Code: 252\r\nContent-Length: 61\r\n\r\n\
        Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS) ()";
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        // A request begins with what is read at once after an answer.
        while let Ok(n) = client.read(&mut bytes)
            && n > 0
        {
            let line = bytes[..n].split(|byte| *byte == b'\r').next().unwrap_or_default();
            let is_refused = String::from_utf8_lossy(line).contains(text);
            if is_refused {
                let _ = client.write_all(REFUSAL.as_bytes());
            }
            if is_refused || server.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Write);
    });
}

/// Copies requests but inserts of more than so many bytes.
fn pipe_small(mut client: TcpStream, mut server: TcpStream, n_bytes: usize) {
    const PAGE: &str = "<html><head><title>413 Request Entity Too Large</title></head></html>";
    thread::spawn(move || {
        let (mut bytes, mut request) = (vec![0; 64 * 1024], Vec::new());
        while let Ok(n) = client.read(&mut bytes)
            && n > 0
        {
            request.extend_from_slice(&bytes[..n]);
            let is_insert =
                String::from_utf8_lossy(&request).contains("insert_deduplication_token");
            // Kept until it is whole.
            if is_insert && !request.ends_with(b"\r\n0\r\n\r\n") {
                continue;
            }
            if is_insert && request.len() > n_bytes {
                let head = "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close";
                let _ = write!(client, "{head}\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len());
                break;
            }
            if server.write_all(&request).is_err() {
                break;
            }
            request.clear();
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Write);
    });
}

/// Copies one direction until either side closes.
fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // A broken connection is what this is for.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
