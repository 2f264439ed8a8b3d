//! Real servers, started for a test and stopped after it.
//!
//! PostgreSQL and Redis are looked for in `PATH` and where Debian puts them. If one is not
//! installed, [`start`] says so and returns `None`, and the test passes without it; with
//! `STORES_REQUIRED=1` in the environment it panics instead.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
}

/// The user and the password of each server.
pub const USER: &str = "app";
/// See [`USER`].
pub const PASSWORD: &str = "correct-horse";

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of the loopback interface, with its files in a temporary folder. It is
/// killed when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
    settings: Vec<String>,
}

/// Starts a server, or returns `None` if it is not installed. The settings are added to those for
/// a server that keeps what it acknowledges, as `name=value`.
///
/// # Panics
/// If it is installed and does not start, or is not installed and `STORES_REQUIRED` is 1.
#[must_use]
pub fn start(kind: Kind, settings: &[&str]) -> Option<Server> {
    let Some(program) = find(kind) else {
        let required = env::var("STORES_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!required, "{kind:?} is not installed, and STORES_REQUIRED is 1");
        println!("skipped: {kind:?} is not installed");
        return None;
    };
    let started = Server::start(kind, program, settings);
    Some(started.unwrap_or_else(|error| panic!("{kind:?} does not start: {error}")))
}

/// The server's program, beside the others of its package.
fn find(kind: Kind) -> Option<PathBuf> {
    let (program, beside) = match kind {
        Kind::Postgres => ("postgres", "initdb"),
        Kind::Redis => ("redis-server", "redis-server"),
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let mut folders = folders.into_iter();
    let folder = folders.find(|f| f.join(program).is_file() && f.join(beside).is_file())?;
    Some(folder.join(program))
}

impl Server {
    fn start(kind: Kind, program: PathBuf, settings: &[&str]) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut server = Self {
            kind,
            program,
            folder: tempfile::tempdir()?,
            address,
            child: None,
            settings: settings.iter().map(|&setting| setting.into()).collect(),
        };
        if kind == Kind::Postgres {
            server.create_cluster()?;
        }
        server.launch()?;
        Ok(server)
    }

    fn create_cluster(&self) -> io::Result<()> {
        let folder = self.folder.path();
        let password = folder.join("password");
        fs::write(&password, PASSWORD)?;
        own(folder)?;
        own(&password)?;
        let made = self
            .command("initdb")
            .args([
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-U",
                USER,
            ])
            .arg("--pwfile")
            .arg(password)
            .arg("-D")
            .arg(folder.join("data"))
            .output()?;
        if made.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&made.stderr)))
    }

    /// A program of the server's package, not run as root, which PostgreSQL refuses.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program.with_file_name(name));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        #[cfg(unix)]
        if let Some((uid, gid)) = unprivileged() {
            use std::os::unix::process::CommandExt as _;
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server, again after [`kill`](Self::kill), and waits until it accepts connections.
    ///
    /// # Errors
    /// If it does not start.
    pub fn launch(&mut self) -> io::Result<()> {
        let log = self.folder.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = self.command(match self.kind {
            Kind::Postgres => "postgres",
            Kind::Redis => "redis-server",
        });
        command.stdout(log.try_clone()?).stderr(log);
        let port = self.address.port().to_string();
        match self.kind {
            Kind::Postgres => {
                command.arg("-D").arg(self.folder.path().join("data"));
                // The processes are killed here, not the system: without fsync nothing is lost.
                let settings = ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=200"];
                let settings = settings.map(str::to_owned).into_iter();
                let own = [format!("port={port}"), "unix_socket_directories=".into()];
                for setting in settings.chain(own).chain(self.settings.clone()) {
                    command.args(["-c", &setting]);
                }
            }
            Kind::Redis => {
                own(self.folder.path())?;
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
                command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                command.args(["--requirepass", PASSWORD]);
                for setting in &self.settings {
                    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
                    command.args([&format!("--{name}"), value]);
                }
            }
        }
        self.child = Some(command.spawn()?);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let child = self.child.as_mut().and_then(|child| child.try_wait().transpose());
            if let Some(ended) = child.transpose()? {
                return Err(io::Error::other(format!("{ended}: {}", self.log())));
            }
            if self.is_ready() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other(self.log()))
    }

    /// What the server has written.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Whether the server answers: it accepts connections before it is ready.
    fn is_ready(&self) -> bool {
        use io::{Read as _, Write as _};
        // A startup message asks for a password, or is told that the server is starting.
        let startup = b"\0\0\0\x12\0\x03\0\0user\0app\0\0";
        let (request, ready): (&[u8], u8) = match self.kind {
            Kind::Postgres => (startup, b'R'),
            Kind::Redis => (b"PING\r\n", b'-'),
        };
        let answer = || {
            let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(request)?;
            let mut answer = [0; 8];
            stream.read_exact(&mut answer)?;
            Ok::<_, io::Error>(answer)
        };
        // While Redis loads its file it says LOADING; asked for a password, NOAUTH.
        answer().is_ok_and(|answer| answer[0] == ready && !answer.starts_with(b"-LOADING"))
    }

    /// The kind of the server.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client connects by: settings for PostgreSQL, a URL for Redis.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// As [`url`](Self::url), through something at another address.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        url(self.kind, address)
    }

    /// Ends the server as a crash does, and waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // The processes of PostgreSQL end with it, and it can be started again at once.
        match self.kind {
            Kind::Postgres => signal("QUIT", &[child.id()]),
            Kind::Redis => signal("KILL", &[child.id()]),
        }
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("{:?} does not end: {}", self.kind, self.log());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops all processes of the server without ending them, or has them go on.
    pub fn pause(&self, paused: bool) {
        let Some(main) = self.child.as_ref().map(Child::id) else {
            return;
        };
        let name = if paused { "STOP" } else { "CONT" };
        // The main process first: it must not start others meanwhile.
        signal(name, &[main]);
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"));
        let children = children.unwrap_or_default();
        let children: Vec<u32> = children.split(' ').flat_map(str::parse).collect();
        if !children.is_empty() {
            signal(name, &children);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.pause(false);
        self.kill();
    }
}

/// What a client connects by to a server of this kind at this address.
#[must_use]
pub fn url(kind: Kind, address: SocketAddr) -> String {
    let (host, port) = (address.ip(), address.port());
    match kind {
        Kind::Postgres => {
            format!("host={host} port={port} user={USER} password={PASSWORD} dbname=postgres")
        }
        Kind::Redis => format!("redis://:{PASSWORD}@{host}:{port}/"),
    }
}

fn signal(name: &str, processes: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(format!("-{name}")).stderr(Stdio::null());
    let _ = command.args(processes.iter().map(u32::to_string)).status();
}

/// The user for the servers, if this process is root.
#[cfg(unix)]
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = |name: &str| {
        let mut lines = users.lines().map(|line| line.split(':'));
        let mut fields =
            lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    user("postgres").or_else(|| user("nobody"))
}

/// Gives a file or folder to the user of the servers.
fn own(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some((uid, gid)) = unprivileged() {
        return std::os::unix::fs::chown(path, Some(uid), Some(gid));
    }
    let _ = path;
    Ok(())
}
