//! Starts the fleet, the service and the database, brings the faults about, and counts.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{Token, TokenSet, UnixTime};
use dropbox_sign_oauth_store::{PostgresManager, PostgresStore, RedisStore, Store};
use dropbox_sign_oauth_testkit::store::{
    Fault, Proxy,
    server::{self, Kind, Server},
};
use dropbox_sign_oauth_ureq as ureq;
use postgres::NoTls;

use super::{
    options::{Adapter, Options},
    service::{self, LIFETIME, Service},
    tally::Tally,
    worker,
};

const PROCESSES: usize = 8;
const USERS: u64 = 50;

/// How long the database is paused.
const PAUSE: Duration = Duration::from_secs(10);

/// How long the database executes requests and its responses are lost.
const LOSS: Duration = Duration::from_millis(200);

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two outages.
const BETWEEN_OUTAGES: Duration = Duration::from_secs(10);

struct Process {
    name: String,
    child: Child,
}

struct Fleet {
    options: Options,
    service: Service,
    url: String,
    tally: Arc<Mutex<Tally>>,
    started: u64,
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the fleet and prints what became of it.
pub(crate) fn run(options: &Options) {
    let Some(mut database) = server::start(options.database, &[]) else {
        return;
    };
    let proxy = Proxy::start(database.address()).expect("a proxy");
    let service = Service::start(USERS).expect("a service");
    let store = store(options.database, &database.url());
    authorize(&service, store.clone());
    let mut fleet = Fleet {
        options: options.clone(),
        url: server::url(options.database, proxy.address()),
        service,
        tally: Arc::default(),
        started: 0,
    };
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| fleet.start()).collect();
    let kills = fleet.bring_faults(&proxy, &mut database, &mut processes);
    // Each process stores what it has, and ends.
    for process in &mut processes {
        drop(process.child.stdin.take());
    }
    let begun = Instant::now();
    for process in &mut processes {
        while matches!(process.child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                println!("{} did not end", process.name);
                let _ = process.child.kill();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    fleet.print(kills, &store);
}

type AnyStore = Arc<dyn Store<Error = dropbox_sign_oauth_store::database::DatabaseError>>;

fn store(database: Kind, url: &str) -> AnyStore {
    match database {
        Kind::Postgres => {
            let manager = PostgresManager::new(url.parse().expect("settings"), NoTls);
            let store = PostgresStore::new(r2d2::Pool::new(manager).expect("a pool"));
            store.create_table().expect("a table");
            Arc::new(store)
        }
        Kind::Redis => {
            let client = redis::Client::open(url).expect("a URL");
            let store = RedisStore::new(r2d2::Pool::new(client).expect("a pool"));
            store.check().expect("a durable server");
            Arc::new(store)
        }
    }
}

/// Stores the first tokens of all users.
fn authorize(service: &Service, store: AnyStore) {
    let transport = ureq::Transport::new().expect("a transport");
    let app = worker::app("controller", &format!("http://{}", service.address));
    let sessions = ureq::Sessions::with_options(app, transport, store, worker::options());
    for user in 0..USERS {
        let token = |kind: &str| Token::new(&format!("{kind}-{user}-0")).expect("a token");
        let tokens = TokenSet {
            access_token: token("a"),
            refresh_token: Some(token("r")),
            expires_at: Some(UnixTime::now().saturating_add(LIFETIME)),
        };
        let session = sessions.get(&worker::key(user));
        session.replace_tokens(tokens).expect("stores");
    }
}

impl Fleet {
    fn start(&mut self) -> Process {
        self.started += 1;
        let name = format!("process-{}", self.started);
        let database = match self.options.database {
            Kind::Postgres => "postgres",
            Kind::Redis => "redis",
        };
        let adapter = match self.options.adapter {
            Adapter::Hyper => "hyper",
            Adapter::Ureq => "ureq",
        };
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["worker", &name, database, adapter, &self.url])
            .arg(format!("http://{}", self.service.address))
            .arg(USERS.to_string())
            .arg((self.options.seed * 1000 + self.started * 10).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let (tally, process) = (Arc::clone(&self.tally), name.clone());
        let output = child.stdout.take().expect("an output");
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lock(&tally).add(&process, &line);
            }
        });
        Process { name, child }
    }

    /// Brings the faults about. Returns how many processes were killed.
    fn bring_faults(
        &mut self,
        proxy: &Proxy,
        database: &mut Server,
        processes: &mut [Process],
    ) -> u32 {
        let mut random = fastrand::Rng::with_seed(self.options.seed);
        let mut after = |from: u64, to: u64| {
            Instant::now() + Duration::from_millis(random.u64(from * 1000..to * 1000))
        };
        let begun = Instant::now();
        let (mut cut_at, mut kill_at) = (after(1, 3), after(2, 5));
        let mut outage_at = begun + BETWEEN_OUTAGES;
        let (mut paused_until, mut loses_responses) = (None, false);
        let (mut kills, mut outages, mut victim) = (0, 0, 0);
        while begun.elapsed() < self.options.duration {
            let now = Instant::now();
            if now >= cut_at {
                // Every other time, what is acknowledged meanwhile is lost first.
                loses_responses = !loses_responses;
                if loses_responses {
                    proxy.set(Fault::LoseResponse);
                    thread::sleep(LOSS);
                    proxy.set(Fault::None);
                }
                proxy.cut();
                cut_at = after(1, 3);
            }
            if self.options.kills && now >= kill_at {
                victim = (victim + 3) % processes.len();
                self.kill(&mut processes[victim]);
                processes[victim] = self.start();
                kills += 1;
                kill_at = after(2, 5);
            }
            if paused_until.is_some_and(|until| now >= until) {
                database.pause(false);
                self.say(begun, "database continues");
                paused_until = None;
                outage_at = now + BETWEEN_OUTAGES;
            } else if self.options.outages && paused_until.is_none() && now >= outage_at {
                outages += 1;
                if outages % 2 == 1 {
                    self.say(begun, "database killed and started");
                    database.kill();
                    database.launch().expect("the database starts");
                    outage_at = Instant::now() + BETWEEN_OUTAGES;
                } else {
                    self.say(begun, "database paused");
                    database.pause(true);
                    paused_until = Some(now + PAUSE);
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
        if paused_until.is_some() {
            database.pause(false);
        }
        kills
    }

    fn say(&self, begun: Instant, what: &str) {
        if self.options.verbose {
            println!("{:>6.1} s  {what}", begun.elapsed().as_secs_f32());
        }
    }

    fn kill(&self, process: &mut Process) {
        let _ = process.child.kill();
        lock(&self.tally).killed.insert(process.name.clone(), Instant::now());
        let _ = process.child.wait();
    }

    fn print(&self, kills: u32, store: &AnyStore) {
        // The last lines of the processes.
        thread::sleep(Duration::from_millis(200));
        let mut tally = lock(&self.tally);
        let mut lost = BTreeMap::<_, Vec<_>>::new();
        for (user, family) in self.service.families() {
            let stored = store.load(&worker::key(user)).ok().flatten();
            let refresh_token = stored.and_then(|record| record.tokens().refresh_token.clone());
            let stored = refresh_token.and_then(|token| service::token("r", token.expose()));
            let issued = (user, family.generation);
            let revoked = match family.revoked {
                Some(revoked) => revoked,
                None if stored == Some(issued) => continue,
                None => format!("{stored:?} is stored, and {issued:?} was issued"),
            };
            let process = &family.issued_to;
            let acknowledged = tally.stored.get(process).is_some_and(|all| all.contains(&issued));
            let killed = tally.killed.get(process).copied();
            let why = match killed {
                _ if acknowledged => "stored, and lost all the same",
                Some(killed) if killed >= family.issued_at => {
                    "process killed between response and store"
                }
                _ => "process lived, and did not store",
            };
            let fate = match killed {
                Some(at) if at >= family.issued_at => {
                    format!("{process} was killed {:?} later", at - family.issued_at)
                }
                Some(_) => format!("{process} had been killed"),
                None => format!("{process} lived for {:?}", family.issued_at.elapsed()),
            };
            let lost = lost.entry(why).or_default();
            lost.push(format!("user {user}: {revoked}; {fate}"));
        }
        let (requests, refreshes) = self.service.counts();
        let calls = tally.calls.len();
        let failed: u64 = tally.errors.values().sum();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| tally.percentile(share).as_micros());
        let count = |why: &str| lost.get(why).map_or(0, Vec::len);
        let between = count("process killed between response and store");
        let all: usize = lost.values().map(Vec::len).sum();
        println!(
            "| database | adapter | seconds | kills | calls | requests | refreshes | users lost | \
             killed between response and store | lost otherwise | calls of lost users | other \
             errors | p50 ms | p99 ms | max ms |"
        );
        println!("|{}", " --- |".repeat(15));
        println!(
            "| {:?} | {:?} | {} | {kills} | {calls} | {requests} | {refreshes} | {all} | {between} \
             | {} | {} | {failed} | {} | {} | {} |",
            self.options.database,
            self.options.adapter,
            self.options.duration.as_secs(),
            all - between,
            tally.lost,
            millis(p50),
            millis(p99),
            millis(max),
        );
        for (error, count) in &tally.errors {
            println!("{count:>7} × {error}");
        }
        for (why, users) in lost {
            println!("{why}:");
            for user in users {
                println!("    {user}");
            }
        }
    }
}

fn millis(micros: u128) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}
