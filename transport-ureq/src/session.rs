//! Tokens that stay fresh: drives the core's session machine with a transport, a store and this
//! machine's clock.

use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use dropbox_sign_oauth::{
    App, CallError, Operation, Token, TokenResponse, TokenSet, UnixTime,
    session::{
        Job, JobId, Record, SendError, Session as Machine, SessionError, SessionPolicy, Step,
        Swapped,
    },
};
use dropbox_sign_oauth_store::Store;
use http::{Request, Response, StatusCode};

use crate::{Transport, clock};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The tokens of one grant, which stay fresh: for any number of threads, and of processes that
/// share its store.
///
/// Clones are the same session. One of the threads that ask for a token refreshes it when it is
/// due; the others go on with the old one as long as it is good, and wait if it is not. If that
/// thread dies, another takes over.
///
/// ```no_run
/// use dropbox_sign_oauth_ureq::{FileStore, Session, Transport, core::{App, State}};
///
/// # fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let transport = Transport::new()?;
/// let store = FileStore::new("session.json")?;
/// let session = Session::new(app.clone(), transport.clone(), store);
///
/// // Once, when the user has authorized:
/// let reply = transport.send(app.generate(app.callback(query, state)?))?;
/// session.begin(reply)?;
///
/// // From then on, also after a restart:
/// let account = session.send(|token| app.account(token))?;
/// println!("connected to {}", account.email_address);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    machine: Mutex<Machine>,
    /// Told whenever a job has come to its end.
    news: Condvar,
    transport: Transport,
    store: Box<dyn AnyStore>,
}

/// A [`Store`] of any error.
trait AnyStore: Send + Sync {
    fn load(&self) -> Result<Option<Record>, BoxError>;
    fn compare_and_swap(&self, expected: Option<u64>, new: &Record) -> Result<Swapped, BoxError>;
}

impl<S: Store> AnyStore for S {
    fn load(&self) -> Result<Option<Record>, BoxError> {
        Store::load(self).map_err(Into::into)
    }

    fn compare_and_swap(&self, expected: Option<u64>, new: &Record) -> Result<Swapped, BoxError> {
        Store::compare_and_swap(self, expected, new).map_err(Into::into)
    }
}

impl Session {
    /// The session whose record is in `store`, or will be, with the default policy.
    pub fn new(app: App, transport: Transport, store: impl Store + 'static) -> Self {
        Self::with_policy(app, transport, store, SessionPolicy::default())
    }

    /// The session whose record is in `store`, or will be.
    pub fn with_policy(
        app: App,
        transport: Transport,
        store: impl Store + 'static,
        policy: SessionPolicy,
    ) -> Self {
        Self(Arc::new(Shared {
            machine: Mutex::new(Machine::new(app, policy)),
            news: Condvar::new(),
            transport,
            store: Box::new(store),
        }))
    }

    /// Begins, or begins anew, with the tokens that a code was just exchanged for.
    ///
    /// # Errors
    /// As [`replace_tokens`](Self::replace_tokens).
    pub fn begin(&self, response: TokenResponse) -> Result<(), SessionError> {
        let tokens = TokenSet::new(response, clock::now());
        self.replace_tokens(tokens)
    }

    /// Stores the tokens of another authorization, in the place of those that are there.
    ///
    /// # Errors
    /// [`SessionError::Store`] if they are not stored. They are kept in memory, and stored by
    /// whoever next needs a token, if the store works then.
    pub fn replace_tokens(&self, tokens: TokenSet) -> Result<(), SessionError> {
        let (now, entropy) = (clock::now(), clock::entropy());
        self.0.machine().replace_tokens(now, entropy, tokens);
        self.0.follow(Machine::poll_stored)
    }

    /// An access token that is good, refreshed if need be. Not to be kept: ask again for the next
    /// request.
    ///
    /// # Errors
    /// [`SessionError`] says whether the user must authorize (again), or whether to try later.
    pub fn access_token(&self) -> Result<Token, SessionError> {
        self.0.follow(Machine::poll)
    }

    /// Puts an access token into a request, as `Authorization: Bearer`.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub fn authorize<B>(&self, request: Request<B>) -> Result<Request<B>, SessionError> {
        Ok(self.access_token()?.authorize(request))
    }

    /// Sends an operation that is made with an access token. If the service refuses the token
    /// (401), it is refreshed, and the operation sent once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no token, [`SendError::Send`] as of
    /// [`Transport::send`].
    pub fn send<O: Operation>(
        &self,
        operation: impl Fn(&Token) -> O,
    ) -> Result<O::Output, SendError<CallError>> {
        let is_refused = |outcome: &Result<_, CallError>| {
            let refused = Some(StatusCode::UNAUTHORIZED);
            matches!(outcome, Err(CallError::Answered(error)) if error.status() == refused)
        };
        self.twice(|token| self.0.transport.send(operation(token)), is_refused)?
            .map_err(SendError::Send)
    }

    /// Sends any request by any client, with an access token in it. If the service refuses the
    /// token (401), it is refreshed, and the request sent once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no token, [`SendError::Send`] with the client's error.
    pub fn send_request<B: Clone, R, E>(
        &self,
        request: &Request<B>,
        send: impl Fn(Request<B>) -> Result<Response<R>, E>,
    ) -> Result<Response<R>, SendError<E>> {
        let is_refused = |outcome: &Result<Response<R>, E>| matches!(outcome, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
        self.twice(|token| send(token.authorize(request.clone())), is_refused)?
            .map_err(SendError::Send)
    }

    /// Tells that the service refused an access token (401), so that the next is another. Those who
    /// send by this session need not.
    pub fn refused(&self, access_token: &Token) {
        self.0.machine().handle_refusal(clock::now(), access_token);
    }

    /// Does something with an access token, and once more with the next if that one is refused.
    fn twice<T>(
        &self,
        attempt: impl Fn(&Token) -> T,
        is_refused: impl Fn(&T) -> bool,
    ) -> Result<T, SessionError> {
        let token = self.access_token()?;
        let outcome = attempt(&token);
        if !is_refused(&outcome) {
            return Ok(outcome);
        }
        self.refused(&token);
        let next = self.access_token()?;
        Ok(if next == token {
            outcome
        } else {
            attempt(&next)
        })
    }
}

impl Shared {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        // The machine is whole between its steps, whatever a thread that held it died of.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the machine says until it has what is asked for, or an error.
    fn follow<T>(
        &self,
        poll: impl Fn(&mut Machine, UnixTime) -> Step<T>,
    ) -> Result<T, SessionError> {
        let mut machine = self.machine();
        loop {
            match poll(&mut machine, clock::now()) {
                Step::Ready(ready) => return Ok(ready),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => {
                    let time = until.saturating_since(clock::now());
                    let waited = self.news.wait_timeout(machine, time);
                    (machine, _) = waited.unwrap_or_else(PoisonError::into_inner);
                }
                Step::Do(job) => {
                    drop(machine);
                    self.work(job);
                    machine = self.machine();
                }
            }
        }
    }

    fn work(&self, job: Job) {
        let _in_hand = InHand {
            shared: self,
            job: job.id(),
        };
        match job {
            Job::Load(load) => {
                let outcome = self.store.load();
                self.machine().handle_load(clock::now(), load, outcome);
            }
            Job::Swap(swap) => {
                let outcome = self.store.compare_and_swap(swap.expected(), swap.record());
                self.machine().handle_swap(clock::now(), swap, outcome);
            }
            Job::Refresh(refresh) => {
                let (operation, retry) = (refresh.operation(), refresh.retry());
                let outcome = self.transport.send_with_retry(operation, retry);
                let (now, entropy) = (clock::now(), clock::entropy());
                self.machine()
                    .handle_refresh(now, entropy, refresh, outcome);
            }
        }
    }
}

/// A job that is being done. When it ends, be it by a panic, somebody else can go on.
struct InHand<'a> {
    shared: &'a Shared,
    job: JobId,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        // It changes nothing for a job whose outcome is known.
        self.shared.machine().abandon(self.job);
        self.shared.news.notify_all();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("machine", &*self.0.machine())
            .finish_non_exhaustive()
    }
}
