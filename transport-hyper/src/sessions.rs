//! Sessions: drives the core's state machine with a transport, a store and the system clock.

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use dropbox_sign_oauth::{
    App, CallError, Failure, Operation, Replay, Token, TokenResponse, TokenSet, UnixTime,
    rejects_access_token,
    session::{
        Attempts, Background, Job, JobId, SendError, Session as Machine, SessionError,
        SessionPolicy, Step,
    },
};
use dropbox_sign_oauth_store::{Entropy, Live, SessionOptions};
use http::{Request, Response};
use http_body::Body;
use tokio::{
    sync::{Notify, futures::Notified},
    task::JoinHandle,
    time::timeout,
};
use tower_service::Service;

use crate::{
    body::RequestBody,
    client::Client,
    store::{self, AnyStore, Store, caught},
    transport::Transport,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The longest time that a task sleeps without a look at the system clock, which may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The sessions of a program's users: tokens that stay valid, by key.
///
/// Make one for each program and clone it. [`get`](Self::get) returns the session stored under a key,
/// for example the id of a user. Any number of tasks, and processes that share the store, use a
/// session at the same time: one of them refreshes its tokens.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::{App, Blocking, FileStore, Sessions, State, Transport};
///
/// # async fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
/// // Once:
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let transport = Transport::new()?;
/// let store = Blocking::new(FileStore::open("sessions")?);
/// let sessions = Sessions::new(app.clone(), transport.clone(), store);
///
/// // When the user has authorized:
/// let session = sessions.get("user-17");
/// let tokens = transport.send(app.generate(app.callback(query, state)?)).await?;
/// session.begin(tokens).await?;
///
/// // From then on, also after a restart:
/// let account = session.send(|token| app.account(token)).await?;
/// println!("connected to {}", account.email_address);
///
/// // Before the program ends:
/// sessions.flush().await?;
/// # Ok(())
/// # }
/// ```
pub struct Sessions<S = Client>(Arc<Shared<S>>);

/// The session stored under one key. Clones, and all sessions of that key that
/// [`Sessions::get`] returns in this process, are the same session.
///
/// Refreshes and calls of the store run in tasks of their own. They are completed also when the caller
/// is dropped: new tokens are not lost, and their storing is retried until they are stored or
/// superseded. A runtime that shuts down stops these tasks; call [`flush`](Self::flush) before.
///
/// An access token that is valid is returned at once, whatever the store does and while it is being
/// refreshed.
pub struct Session<S = Client> {
    shared: Arc<Shared<S>>,
    entry: Arc<Entry>,
}

struct Shared<S> {
    app: App,
    transport: Transport<S>,
    store: Box<dyn AnyStore>,
    policy: Arc<SessionPolicy>,
    options: SessionOptions,
    live: Live<Entry>,
}

/// What is in memory of one session.
struct Entry {
    key: Arc<str>,
    state: Mutex<State>,
    /// Notified after each change of the state.
    changed: Notify,
}

struct State {
    machine: Machine,
    entropy: Entropy,
    /// Whether a task waits for the time of the next background job.
    is_waiting: bool,
}

impl<S> Sessions<S> {
    /// Returns the sessions in `store`, with default options. The store may be empty.
    pub fn new(app: App, transport: Transport<S>, store: impl Store) -> Self {
        Self::with_options(app, transport, store, SessionOptions::default())
    }

    /// Returns the sessions in `store`.
    pub fn with_options(
        app: App,
        transport: Transport<S>,
        store: impl Store,
        options: SessionOptions,
    ) -> Self {
        Self(Arc::new(Shared {
            app,
            transport,
            store: Box::new(store),
            policy: Arc::new(options.policy),
            options,
            live: Live::new(options.idle_limit),
        }))
    }

    /// Returns the session stored under `key`, or to be stored there. Does not call the store.
    #[must_use]
    pub fn get(&self, key: &str) -> Session<S> {
        let new = |key| Entry {
            key,
            state: Mutex::new(State {
                machine: Machine::new(self.0.app.clone(), Arc::clone(&self.0.policy)),
                entropy: Entropy::new(),
                is_waiting: false,
            }),
            changed: Notify::new(),
        };
        Session {
            shared: Arc::clone(&self.0),
            entry: self.0.live.get(key, new),
        }
    }
}

impl<S> Session<S> {
    /// The key under which the session is stored.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.entry.key
    }

    /// Records that the server rejected `access_token` with a 401, so that the next one is another.
    /// [`send`](Self::send) and [`send_request`](Self::send_request) do this themselves.
    pub fn mark_rejected(&self, access_token: &Token) {
        self.entry
            .change(|machine, _| machine.handle_rejection(UnixTime::now(), access_token));
    }

    /// Whether the user must authorize, as far as this process knows: the session was revoked, was
    /// ended, or has no tokens. Does not call the store.
    #[must_use]
    pub fn needs_authorization(&self) -> bool {
        self.entry.state().machine.needs_authorization()
    }
}

impl<S, B> Sessions<S>
where
    S: Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    /// Waits until the new tokens of all sessions are stored or superseded. Call it before the
    /// program ends.
    ///
    /// # Errors
    /// [`SessionError::Store`] if tokens are not stored within
    /// [`flush_timeout`](SessionOptions::flush_timeout). They are lost when the program ends.
    pub async fn flush(&self) -> Result<(), SessionError> {
        let deadline = UnixTime::now().saturating_add(self.0.options.flush_timeout);
        let mut flushed = Ok(());
        for entry in self.0.live.values() {
            let shared = Arc::clone(&self.0);
            let session = Session { shared, entry };
            let outcome = session.flush_until(deadline).await;
            flushed = flushed.and(outcome);
        }
        flushed
    }
}

impl<S, B> Session<S>
where
    S: Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    /// Begins the session, or begins it anew, with the tokens of an authorization.
    ///
    /// # Errors
    /// As [`replace_tokens`](Self::replace_tokens).
    pub async fn begin(&self, response: TokenResponse) -> Result<(), SessionError> {
        let tokens = TokenSet::new(response, UnixTime::now());
        self.replace_tokens(tokens).await
    }

    /// Replaces the session's tokens by those of a new authorization, and stores them.
    ///
    /// # Errors
    /// [`SessionError::Store`] if they are not stored yet. They are kept in memory, and storing
    /// them is retried in the background.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), SessionError> {
        self.entry
            .change(|machine, entropy| machine.replace_tokens(UnixTime::now(), entropy, tokens));
        self.drive(Machine::poll_stored).await
    }

    /// Returns a valid access token. Waits for a refresh only if there is none. Ask for each request
    /// instead of keeping it.
    ///
    /// # Errors
    /// [`SessionError`] says whether the user must authorize again, or when to try again.
    pub async fn access_token(&self) -> Result<Token, SessionError> {
        self.drive(Machine::poll).await
    }

    /// Sets the `Authorization` header of a request to a valid access token.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub async fn authorize<T>(&self, request: Request<T>) -> Result<Request<T>, SessionError> {
        Ok(self.access_token().await?.authorize(request))
    }

    /// Sends an operation with an access token. If the server rejects the token (401), the session
    /// refreshes it, and sends the operation once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no access token, [`SendError::Send`] as
    /// [`Transport::send`].
    pub async fn send<O: Operation>(
        &self,
        operation: impl Fn(&Token) -> O,
    ) -> Result<O::Output, SendError<CallError>> {
        let attempt = |token: &Token| {
            let (operation, shared) = (operation(token), &self.shared);
            async move {
                match shared.options.retry {
                    Some(retry) => shared.transport.send_with_retry(operation, retry).await,
                    None => shared.transport.send(operation).await,
                }
            }
        };
        let is_rejected = |outcome: &Result<_, CallError>| match outcome {
            Ok(_) => false,
            Err(error) => error.rejects_access_token(),
        };
        let outcome = self.retry_once_on_401(attempt, is_rejected).await?;
        outcome.map_err(SendError::Send)
    }

    /// Sends any request by any client, with an access token. If the server rejects the token (401),
    /// the session refreshes it, and sends the request once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no access token, [`SendError::Send`] with the client's error.
    pub async fn send_request<T: Clone, R, E, F>(
        &self,
        request: &Request<T>,
        send: impl Fn(Request<T>) -> F,
    ) -> Result<Response<R>, SendError<E>>
    where
        F: Future<Output = Result<Response<R>, E>>,
    {
        let attempt = |token: &Token| send(token.authorize(request.clone()));
        let is_rejected = |outcome: &Result<Response<R>, E>| matches!(outcome, Ok(response) if rejects_access_token(response.status()));
        let outcome = self.retry_once_on_401(attempt, is_rejected).await?;
        outcome.map_err(SendError::Send)
    }

    /// Ends the session: removes its record from the store, and forgets its tokens. Other processes
    /// that share the store stop at their next read. The vendor documents no way to revoke tokens, so
    /// the server accepts the access token until it expires.
    ///
    /// # Errors
    /// [`SessionError::Store`] if the record is not removed yet. Removing it is retried in the
    /// background.
    pub async fn end(&self) -> Result<(), SessionError> {
        self.entry.change(|machine, _| machine.end());
        self.drive(Machine::poll_stored).await
    }

    /// Waits until the new tokens of this session are stored or superseded.
    ///
    /// # Errors
    /// As [`Sessions::flush`].
    pub async fn flush(&self) -> Result<(), SessionError> {
        let limit = self.shared.options.flush_timeout;
        self.flush_until(UnixTime::now().saturating_add(limit))
            .await
    }

    async fn flush_until(&self, deadline: UnixTime) -> Result<(), SessionError> {
        loop {
            let changed = self.entry.changed.notified();
            let (job, step, stored) = {
                let (mut state, now) = (self.entry.state(), UnixTime::now());
                let step = state.machine.poll_flushed(now);
                let stored = state.machine.poll_stored(now);
                // The task that did this may have been stopped with its runtime.
                let job = match state.background(now) {
                    Background::Job(job) => Some(job),
                    Background::Wait(_) | Background::Idle => None,
                };
                (job, step, stored)
            };
            let task = job.map(|job| self.start(job));
            match (step, stored) {
                (Step::Ready(()), _) => return Ok(()),
                (_, Step::Fail(error)) if deadline <= UnixTime::now() => return Err(error),
                _ if deadline <= UnixTime::now() => {
                    let error = "the tokens were not stored in time";
                    return Err(SessionError::Store(BoxError::from(error).into()));
                }
                (Step::Wait(until), _) => wait(until.min(deadline), changed, task).await?,
                (Step::Fail(_), _) => wait(deadline, changed, task).await?,
            }
        }
    }

    /// Runs what `attempt` does with an access token, and runs it again with another token if that
    /// one is rejected.
    async fn retry_once_on_401<F: Future>(
        &self,
        attempt: impl Fn(&Token) -> F,
        is_rejected: impl Fn(&F::Output) -> bool,
    ) -> Result<F::Output, SessionError> {
        let mut attempts = Attempts::new();
        let mut rejected = None;
        loop {
            let token = self.access_token().await?;
            let is_new = attempts.start(&token);
            if let Some(outcome) = rejected.take_if(|_| !is_new) {
                return Ok(outcome);
            }
            let outcome = attempt(&token).await;
            if !attempts.is_rejected(is_rejected(&outcome)) {
                return Ok(outcome);
            }
            self.mark_rejected(&token);
            rejected = Some(outcome);
        }
    }

    /// Starts what the machine wants done, until it has what is asked for, or an error.
    async fn drive<T>(
        &self,
        poll: impl Fn(&Machine, UnixTime) -> Step<T>,
    ) -> Result<T, SessionError> {
        loop {
            // Created before the machine is asked: it receives all later notifications.
            let changed = self.entry.changed.notified();
            let (job, step) = {
                let (mut state, now) = (self.entry.state(), UnixTime::now());
                let job = state.next_job(now);
                (job, poll(&state.machine, now))
            };
            let task = job.map(|job| self.start(job));
            match step {
                Step::Ready(ready) => return Ok(ready),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => wait(until, changed, task).await?,
            }
        }
    }

    /// Starts a task for a job and those that follow from it.
    fn start(&self, job: Job) -> JoinHandle<()> {
        let session = self.clone();
        // Outside of the task, which a runtime that shuts down drops at once.
        let active = ActiveJob::new(&self.entry, &job);
        tokio::spawn(async move {
            session.work(job).await;
            drop(active);
            while let Some(job) = session.next_background_job().await {
                let _active = ActiveJob::new(&session.entry, &job);
                session.work(job).await;
            }
        })
    }

    /// Waits for the next job of what has begun. Returns `None` if there is nothing more to do, or
    /// if another task waits for it.
    async fn next_background_job(&self) -> Option<Job> {
        let mut waiting = None;
        loop {
            let changed = self.entry.changed.notified();
            let until = {
                let (mut state, now) = (self.entry.state(), UnixTime::now());
                match state.background(now) {
                    Background::Job(job) => return Some(job),
                    Background::Idle => return None,
                    Background::Wait(_) if waiting.is_none() && state.is_waiting => return None,
                    Background::Wait(until) => {
                        state.is_waiting = true;
                        until
                    }
                }
            };
            waiting.get_or_insert_with(|| WaitingTask(&self.entry));
            // The task itself is not stopped.
            let _ = wait(until, changed, None).await;
        }
    }

    async fn work(&self, job: Job) {
        let (entry, store) = (&*self.entry, &*self.shared.store);
        let (key, limit) = (&*entry.key, self.shared.policy.store_timeout);
        match job {
            Job::Load(load) => {
                let outcome = store::call(limit, store.load(key)).await;
                entry.change(|machine, _| machine.handle_load(UnixTime::now(), load, outcome));
            }
            Job::Swap(swap) => {
                let call = store.compare_and_swap(key, swap.expected(), swap.record());
                let outcome = store::call(limit, call).await;
                entry.change(|machine, _| machine.handle_swap(UnixTime::now(), swap, outcome));
            }
            Job::Remove(remove) => {
                let outcome = store::call(limit, store.remove(key)).await;
                entry.change(|machine, _| machine.handle_remove(UnixTime::now(), remove, outcome));
            }
            Job::Refresh(refresh) => {
                let (operation, retry) = (refresh.operation(), refresh.retry());
                let call = self.shared.transport.send_with_retry(operation, retry);
                let outcome = caught(call).await.unwrap_or_else(|panicked| {
                    Err(CallError::Unknown {
                        failure: Failure::exchange(panicked),
                        replay: Replay::Safe,
                    })
                });
                entry.change(|machine, entropy| {
                    machine.handle_refresh(UnixTime::now(), entropy, refresh, outcome);
                });
            }
        }
    }
}

/// Waits until the state has changed, until this time, or until the task has ended.
///
/// # Errors
/// [`SessionError::ShutDown`] if the task was stopped.
async fn wait(
    until: UnixTime,
    changed: Notified<'_>,
    mut task: Option<JoinHandle<()>>,
) -> Result<(), SessionError> {
    let mut changed = pin!(changed);
    let woken = poll_fn(|cx| {
        if let Some(task) = &mut task {
            if let Poll::Ready(ended) = Pin::new(task).poll(cx) {
                return Poll::Ready(ended);
            }
        }
        changed.as_mut().poll(cx).map(Ok)
    });
    let time = until.saturating_since(UnixTime::now()).min(LONGEST_SLEEP);
    match timeout(time, woken).await {
        Ok(Err(error)) if error.is_cancelled() => Err(SessionError::ShutDown),
        _ => Ok(()),
    }
}

impl State {
    fn next_job(&mut self, now: UnixTime) -> Option<Job> {
        self.machine.next_job(now, self.entropy.next_u64())
    }

    fn background(&mut self, now: UnixTime) -> Background {
        self.machine.background(now, self.entropy.next_u64())
    }
}

impl Entry {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each step of the machine is complete, whatever a thread that locked it panicked of.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Machine, u64)) {
        let mut state = self.state();
        let entropy = state.entropy.next_u64();
        change(&mut state.machine, entropy);
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A job in progress. If its task is dropped, the machine can hand it out again.
struct ActiveJob {
    entry: Arc<Entry>,
    job: JobId,
}

impl ActiveJob {
    fn new(entry: &Arc<Entry>, job: &Job) -> Self {
        Self {
            entry: Arc::clone(entry),
            job: job.id(),
        }
    }
}

impl Drop for ActiveJob {
    fn drop(&mut self) {
        // Nothing changes for a job whose outcome was handled.
        self.entry.change(|machine, _| machine.abandon(self.job));
    }
}

/// The task that waits for the time of the next background job.
struct WaitingTask<'a>(&'a Entry);

impl Drop for WaitingTask<'_> {
    fn drop(&mut self) {
        self.0.state().is_waiting = false;
    }
}

impl<S> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("options", &self.0.options)
            .field("live", &self.0.live)
            .finish_non_exhaustive()
    }
}

impl<S> Clone for Session<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            entry: Arc::clone(&self.entry),
        }
    }
}

impl<S> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.entry.key)
            .field("record", &self.entry.state().machine.record())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use dropbox_sign_oauth_store::MemoryStore;

    use super::*;

    /// They run in tasks of a runtime with several threads.
    #[test]
    fn futures_are_send() {
        fn is_send(_: &impl Send) {}
        let app = App::new("client-id", "client-secret").unwrap();
        let transport = Transport::new().unwrap();
        let sessions = Sessions::new(app.clone(), transport, MemoryStore::default());
        let session = sessions.get("key");
        let request = Request::new(());
        is_send(&session);
        is_send(&sessions.flush());
        is_send(&session.access_token());
        is_send(&session.end());
        is_send(&session.authorize(request.clone()));
        is_send(&session.send(|token| app.account(token)));
        let send = |_: Request<()>| ready(Ok::<_, String>(Response::new(())));
        is_send(&session.send_request(&request, send));
    }
}
