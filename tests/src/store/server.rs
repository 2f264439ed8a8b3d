//! Real servers, started for a test and stopped after it.
//!
//! PostgreSQL and Redis are looked for in `PATH` and where Debian puts them. If one is not
//! installed, [`start`] says so and returns `None`, and the test passes without it; with
//! `STORES_REQUIRED=1` in the environment it panics instead.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener},
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
    /// The folder of the server's programs.
    programs: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
    /// As `name=value`.
    settings: Vec<String>,
}

/// Starts a server, or returns `None` if it is not installed. The settings, as `name=value`, are
/// added to those for a server that keeps what it acknowledges.
///
/// Panics if the server is installed and does not start, or is not installed and `STORES_REQUIRED`
/// is 1.
pub fn start(kind: Kind, settings: &[&str]) -> Option<Server> {
    let Some(programs) = find(kind) else {
        let required = env::var("STORES_REQUIRED").is_ok_and(|value| value == "1");
        assert!(!required, "{kind:?} is not installed, and STORES_REQUIRED is 1");
        println!("skipped: {kind:?} is not installed");
        return None;
    };
    let started = Server::start(kind, programs, settings);
    Some(started.unwrap_or_else(|error| panic!("{kind:?} does not start: {error}")))
}

/// Returns the folder of the server's programs.
fn find(kind: Kind) -> Option<PathBuf> {
    let programs: &[&str] = match kind {
        Kind::Postgres => &["postgres", "initdb"],
        Kind::Redis => &["redis-server"],
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let mut folders = env::split_paths(&path).chain(debian.into_iter().rev());
    folders.find(|folder| programs.iter().all(|program| folder.join(program).is_file()))
}

impl Server {
    fn start(kind: Kind, programs: PathBuf, settings: &[&str]) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let defaults: &[&str] = match kind {
            // The processes are killed here, not the system: without fsync nothing is lost.
            Kind::Postgres => &[
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "fsync=off",
                "max_connections=200",
            ],
            Kind::Redis => &["bind=127.0.0.1", "save=", "appendonly=yes", "appendfsync=always"],
        };
        let mut server = Self {
            kind,
            programs,
            folder: tempfile::tempdir()?,
            address,
            child: None,
            settings: defaults.iter().chain(settings).map(|&setting| setting.into()).collect(),
        };
        server.settings.push(format!("port={}", address.port()));
        match kind {
            Kind::Postgres => server.create_cluster()?,
            Kind::Redis => server.settings.push(format!("requirepass={PASSWORD}")),
        }
        server.launch()?;
        Ok(server)
    }

    fn create_cluster(&self) -> io::Result<()> {
        drop_ownership(self.folder.path())?;
        fs::write(self.folder.path().join("password"), PASSWORD)?;
        let arguments = "--auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync \
                         --pwfile=password --pgdata=data";
        let mut command = self.command("initdb");
        let made = command.args(arguments.split(' ')).args(["-U", USER]).output()?;
        if made.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&made.stderr)))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        #[cfg(unix)]
        if self.kind == Kind::Postgres && is_root() {
            use std::os::unix::process::CommandExt as _;
            command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
        }
        command
    }

    /// Starts the server, again after [`kill`](Self::kill), and waits until it accepts connections.
    pub fn launch(&mut self) -> io::Result<()> {
        let mut command = match self.kind {
            Kind::Postgres => self.command("postgres"),
            Kind::Redis => self.command("redis-server"),
        };
        match self.kind {
            Kind::Postgres => {
                command.args(["-D", "data"]);
                command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
            }
            Kind::Redis => {
                for (name, value) in self.settings.iter().filter_map(|it| it.split_once('=')) {
                    command.args([&format!("--{name}"), value]);
                }
            }
        }
        let log = fs::File::create(self.folder.path().join("log"))?;
        self.child = Some(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(ended) = self.child.as_mut().map_or(Ok(None), Child::try_wait)? {
                return Err(io::Error::other(format!("{ended}: {}", self.log())));
            }
            // Of both kinds.
            if self.log().contains("eady to accept connections") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other(self.log()))
    }

    /// What the server has written since it was launched.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client connects by: settings for PostgreSQL, a URL for Redis.
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// As [`url`](Self::url), through something at another address.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let (host, port) = (address.ip(), address.port());
        match self.kind {
            Kind::Postgres => {
                format!("host={host} port={port} user={USER} password={PASSWORD} dbname=postgres")
            }
            Kind::Redis => format!("redis://:{PASSWORD}@{host}:{port}/"),
        }
    }

    /// Ends the server as a crash does, and waits for its end.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // The processes of PostgreSQL end with it, and it can be started again at once.
        let name = if self.kind == Kind::Postgres { "QUIT" } else { "KILL" };
        signal(name, &[child.id()]);
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

fn signal(name: &str, processes: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(format!("-{name}")).stderr(Stdio::null());
    let _ = command.args(processes.iter().map(u32::to_string)).status();
}

/// A user and a group without privileges: PostgreSQL refuses to run as root.
#[cfg(unix)]
const UNPRIVILEGED: u32 = 65534;

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn drop_ownership(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if is_root() {
        return std::os::unix::fs::chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
    }
    let _ = path;
    Ok(())
}
