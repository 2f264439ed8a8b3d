//! Starts the fleet, the service and the database, brings the faults about, and counts.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{Token, TokenSet, UnixTime};
use dropbox_sign_oauth_benches::{
    BoxError, ours,
    table::{self, number, quantile},
};
use dropbox_sign_oauth_testkit::store::{
    Fault, Proxy,
    server::{self, Kind, Server},
};
use dropbox_sign_oauth_ureq as ureq;
use fastrand::Rng;

use crate::{
    USERS, key,
    service::{LIFETIME, Service},
    worker,
};

const PROCESSES: usize = 8;

/// The time between two outages, and how long the database is paused.
const OUTAGE: Duration = Duration::from_secs(10);

/// How long the database executes requests and its responses are lost.
const LOSS: Duration = Duration::from_millis(200);

/// How long the processes may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Options<'a> {
    pub(crate) database: Kind,
    pub(crate) database_name: &'a str,
    pub(crate) adapter: &'a str,
    pub(crate) duration: Duration,
    pub(crate) seed: u64,
    /// Whether processes are killed.
    pub(crate) kills: bool,
}

struct Fleet<'a> {
    options: &'a Options<'a>,
    url: String,
    service: Service,
    lines: mpsc::Sender<(String, String)>,
    started: u64,
    running: Vec<(String, Child)>,
    killed: HashMap<String, Instant>,
}

/// Runs the fleet and prints what became of it.
pub(crate) fn run(options: &Options<'_>) -> Result<(), BoxError> {
    let Some(mut database) = server::start(options.database, &[]) else {
        return Ok(());
    };
    let proxy = Proxy::start(database.address())?;
    let service = Service::start()?;
    let store = worker::store(options.database, &database.url(), true)?;

    let app = ours::builder("controller", &format!("http://{}", service.address)).build()?;
    let transport = ureq::Transport::new()?;
    let sessions = ureq::Sessions::with_options(app, transport, store.clone(), worker::options());
    for user in 0..USERS {
        sessions.get(&key(user)).replace_tokens(TokenSet {
            access_token: Token::new(&format!("a-{user}-0"))?,
            refresh_token: Some(Token::new(&format!("r-{user}-0"))?),
            expires_at: Some(UnixTime::now().saturating_add(LIFETIME)),
        })?;
    }

    let (lines, reported) = mpsc::channel();
    let mut fleet = Fleet {
        options,
        url: database.url_at(proxy.address()),
        service,
        lines,
        started: 0,
        running: Vec::new(),
        killed: HashMap::new(),
    };
    for _ in 0..PROCESSES {
        let process = fleet.start()?;
        fleet.running.push(process);
    }
    fleet.bring_faults(&proxy, &mut database)?;
    fleet.end()?;
    let Fleet { service, killed, lines, .. } = fleet;
    drop(lines);

    let mut calls = Vec::new();
    let mut failures = BTreeMap::<_, u32>::new();
    // What each process has stored: users and generations.
    let mut stored = HashSet::new();
    for (process, line) in reported {
        let mut words = line.splitn(3, ' ');
        let (kind, first, rest) = (words.next(), words.next(), words.next());
        match (kind, first.and_then(|word| word.parse::<f64>().ok()), rest) {
            (Some("call"), Some(micros), failure) => {
                calls.push(micros / 1e3);
                if let Some(failure) = failure {
                    *failures.entry(failure.to_owned()).or_default() += 1;
                }
            }
            (Some("stored"), _, _) => {
                stored.insert((process, line));
            }
            // A line that was cut when its process was killed, or a message of a panic.
            _ => {}
        }
    }
    let [mut in_between, mut otherwise] = [Vec::new(), Vec::new()];
    let mut refreshes = 0;
    for (user, family) in (0..).zip(&*service.families()) {
        let (process, generation) = (&family.issued_to, family.generation);
        refreshes += generation;
        let kept = store.load(&key(user))?.and_then(|record| worker::numbers(&record));
        if family.revoked.is_none() && kept == Some((user, generation)) {
            continue;
        }
        let killed = killed.get(process).filter(|at| **at >= family.issued_at);
        let acknowledged =
            stored.contains(&(process.clone(), format!("stored {user} {generation}")));
        let lost = if killed.is_some() && !acknowledged { &mut in_between } else { &mut otherwise };
        let killed = killed.map(|at| *at - family.issued_at);
        lost.push(format!(
            "user {user}: {generation} issued to {process}, killed after {killed:?}, stored \
             {acknowledged}; at the end {kept:?}, revoked {:?}",
            family.revoked
        ));
    }
    let head = "database | adapter | processes killed | calls | refreshes | users lost: killed \
                between response and store | lost otherwise | calls that failed | p50 ms | p99 ms \
                | max ms";
    let counts = [killed.len(), calls.len(), usize::try_from(refreshes)?, in_between.len()];
    let failed = failures.values().sum::<u32>().to_string();
    let mut row = vec![options.database_name.to_owned(), options.adapter.to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.extend([otherwise.len().to_string(), failed]);
    row.extend([0.5, 0.99, 1.0].map(|share| number(quantile(calls.iter().copied(), share), 1)));
    table::print("Chaos", head, [row]);
    for (failure, count) in failures {
        println!("{count:>7} × {failure}");
    }
    for lost in in_between.iter().chain(&otherwise) {
        println!("{lost}");
    }
    if otherwise.is_empty() { Ok(()) } else { Err("users were lost".into()) }
}

impl Fleet<'_> {
    fn start(&mut self) -> Result<(String, Child), BoxError> {
        self.started += 1;
        let name = format!("process-{}", self.started);
        let mut child = Command::new(env::current_exe()?)
            .args([&name, self.options.database_name, self.options.adapter, &self.url])
            .arg(format!("http://{}", self.service.address))
            .arg((self.options.seed * 1000 + self.started * 10).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (lines, process) = (self.lines.clone(), name.clone());
        let output = child.stdout.take().ok_or("no output")?;
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = lines.send((process.clone(), line));
            }
        });
        Ok((name, child))
    }

    fn bring_faults(&mut self, proxy: &Proxy, database: &mut Server) -> Result<(), BoxError> {
        let mut random = Rng::with_seed(self.options.seed);
        let mut after = |from: u64, to: u64| {
            Instant::now() + Duration::from_millis(random.u64(from * 1000..to * 1000))
        };
        let end = Instant::now() + self.options.duration;
        let (mut cut_at, mut kill_at) = (after(1, 3), after(2, 5));
        let mut outage_at = Instant::now() + OUTAGE;
        let (mut cuts, mut outages, mut victim) = (0, 0, 0);
        while Instant::now() < end {
            let now = Instant::now();
            if now >= cut_at {
                // Every other time, what is acknowledged meanwhile is lost first.
                if cuts % 2 == 0 {
                    proxy.set(Fault::LoseResponse);
                    thread::sleep(LOSS);
                    proxy.set(Fault::None);
                }
                proxy.cut();
                cuts += 1;
                cut_at = after(1, 3);
            }
            if self.options.kills && now >= kill_at {
                victim = (victim + 3) % PROCESSES;
                let next = self.start()?;
                let (name, mut child) = std::mem::replace(&mut self.running[victim], next);
                child.kill()?;
                child.wait()?;
                self.killed.insert(name, Instant::now());
                kill_at = after(2, 5);
            }
            if now >= outage_at {
                match outages % 3 {
                    0 => {
                        database.kill();
                        database.launch()?;
                    }
                    1 => database.pause(true),
                    _ => database.pause(false),
                }
                outages += 1;
                outage_at = Instant::now() + OUTAGE;
            }
            thread::sleep(Duration::from_millis(5));
        }
        database.pause(false);
        Ok(())
    }

    /// Waits until each process has stored what it has.
    fn end(&mut self) -> Result<(), BoxError> {
        for (_, child) in &mut self.running {
            drop(child.stdin.take());
        }
        let deadline = Instant::now() + PATIENCE;
        for (name, child) in &mut self.running {
            while child.try_wait()?.is_none() {
                if Instant::now() > deadline {
                    println!("{name} did not end");
                    child.kill()?;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}
