//! Tokens that stay fresh: drives the core's session machine with a transport, a store and this
//! machine's clock.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    panic,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dropbox_sign_oauth::{
    App, CallError, Operation, Token, TokenResponse, TokenSet, UnixTime,
    session::{Job, JobId, SendError, Session as Machine, SessionError, SessionPolicy, Step},
};
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::{sync::Notify, task::JoinError, time::timeout};
use tower_service::Service;

use crate::{
    body::RequestBody,
    client::Client,
    clock,
    store::{AnyStore, Store},
    transport::Transport,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The tokens of one grant, which stay fresh: for any number of tasks, and of processes that share
/// its store.
///
/// Clones are the same session. When the token is due, one of the tasks that ask for it has it
/// refreshed; the others go on with the old one as long as it is good, and wait if it is not. The
/// refresh itself runs in a task of its own, to its end, also if whoever asked for it is dropped: an
/// answer with new tokens is not thrown away.
///
/// ```no_run
/// use dropbox_sign_oauth_hyper::{Blocking, FileStore, Session, Transport};
/// use dropbox_sign_oauth_hyper::core::{App, State};
///
/// # async fn handle_callback(query: &str, state: &State) -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::new("cc91c61d00f8bb2ece1428035716b", "1d14434088507ffa390e6f5528465")?;
/// let transport = Transport::new()?;
/// let store = Blocking::new(FileStore::new("session.json")?);
/// let session = Session::new(app.clone(), transport.clone(), store);
///
/// // Once, when the user has authorized:
/// let reply = transport.send(app.generate(app.callback(query, state)?)).await?;
/// session.begin(reply).await?;
///
/// // From then on, also after a restart:
/// let account = session.send(|token| app.account(token)).await?;
/// println!("connected to {}", account.email_address);
/// # Ok(())
/// # }
/// ```
pub struct Session<S = Client, B = RequestBody> {
    shared: Arc<Shared>,
    transport: Transport<S, B>,
}

struct Shared {
    machine: Mutex<Machine>,
    /// Told whenever a job has come to its end.
    news: Notify,
    store: Box<dyn AnyStore>,
}

impl<S, B> Session<S, B> {
    /// The session whose record is in `store`, or will be, with the default policy.
    pub fn new(app: App, transport: Transport<S, B>, store: impl Store) -> Self {
        Self::with_policy(app, transport, store, SessionPolicy::default())
    }

    /// The session whose record is in `store`, or will be.
    pub fn with_policy(
        app: App,
        transport: Transport<S, B>,
        store: impl Store,
        policy: SessionPolicy,
    ) -> Self {
        let shared = Shared {
            machine: Mutex::new(Machine::new(app, policy)),
            news: Notify::new(),
            store: Box::new(store),
        };
        Self {
            shared: Arc::new(shared),
            transport,
        }
    }

    /// Tells that the service refused an access token (401), so that the next is another. Those who
    /// send by this session need not.
    pub fn refused(&self, access_token: &Token) {
        let mut machine = self.shared.machine();
        machine.handle_refusal(clock::now(), access_token);
    }
}

impl<S, B, RB> Session<S, B>
where
    S: Service<Request<B>, Response = Response<RB>, Error: Into<BoxError> + Send, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: From<RequestBody> + Send + 'static,
    RB: Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    /// Begins, or begins anew, with the tokens that a code was just exchanged for.
    ///
    /// # Errors
    /// As [`replace_tokens`](Self::replace_tokens).
    pub async fn begin(&self, response: TokenResponse) -> Result<(), SessionError> {
        let tokens = TokenSet::new(response, clock::now());
        self.replace_tokens(tokens).await
    }

    /// Stores the tokens of another authorization, in the place of those that are there.
    ///
    /// # Errors
    /// [`SessionError::Store`] if they are not stored. They are kept in memory, and stored by
    /// whoever next needs a token, if the store works then.
    pub async fn replace_tokens(&self, tokens: TokenSet) -> Result<(), SessionError> {
        let (now, entropy) = (clock::now(), clock::entropy());
        self.shared.machine().replace_tokens(now, entropy, tokens);
        self.follow(Machine::poll_stored).await
    }

    /// An access token that is good, refreshed if need be. Not to be kept: ask again for the next
    /// request.
    ///
    /// # Errors
    /// [`SessionError`] says whether the user must authorize (again), or whether to try later.
    pub async fn access_token(&self) -> Result<Token, SessionError> {
        self.follow(Machine::poll).await
    }

    /// Puts an access token into a request, as `Authorization: Bearer`.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub async fn authorize<T>(&self, request: Request<T>) -> Result<Request<T>, SessionError> {
        Ok(self.access_token().await?.authorize(request))
    }

    /// Sends an operation that is made with an access token. If the service refuses the token
    /// (401), it is refreshed, and the operation sent once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no token, [`SendError::Send`] as of
    /// [`Transport::send`].
    pub async fn send<O: Operation>(
        &self,
        operation: impl Fn(&Token) -> O,
    ) -> Result<O::Output, SendError<CallError>> {
        let is_refused = |outcome: &Result<_, CallError>| {
            let refused = Some(StatusCode::UNAUTHORIZED);
            matches!(outcome, Err(CallError::Answered(error)) if error.status() == refused)
        };
        let attempt = |token: &Token| self.transport.send(operation(token));
        let outcome = self.twice(attempt, is_refused).await?;
        outcome.map_err(SendError::Send)
    }

    /// Sends any request by any client, with an access token in it. If the service refuses the
    /// token (401), it is refreshed, and the request sent once more.
    ///
    /// # Errors
    /// [`SendError::Session`] if there is no token, [`SendError::Send`] with the client's error.
    pub async fn send_request<T: Clone, R, E, F>(
        &self,
        request: &Request<T>,
        send: impl Fn(Request<T>) -> F,
    ) -> Result<Response<R>, SendError<E>>
    where
        F: Future<Output = Result<Response<R>, E>>,
    {
        let is_refused = |outcome: &Result<Response<R>, E>| matches!(outcome, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
        let attempt = |token: &Token| send(token.authorize(request.clone()));
        let outcome = self.twice(attempt, is_refused).await?;
        outcome.map_err(SendError::Send)
    }

    /// Does something with an access token, and once more with the next if that one is refused.
    async fn twice<F: Future>(
        &self,
        attempt: impl Fn(&Token) -> F,
        is_refused: impl Fn(&F::Output) -> bool,
    ) -> Result<F::Output, SessionError> {
        let token = self.access_token().await?;
        let outcome = attempt(&token).await;
        if !is_refused(&outcome) {
            return Ok(outcome);
        }
        self.refused(&token);
        let next = self.access_token().await?;
        Ok(if next == token {
            outcome
        } else {
            attempt(&next).await
        })
    }

    /// Does what the machine says until it has what is asked for, or an error.
    async fn follow<T>(
        &self,
        poll: impl Fn(&mut Machine, UnixTime) -> Step<T>,
    ) -> Result<T, SessionError> {
        loop {
            // Listened for before the machine is asked, so that no news is missed between.
            let mut news = pin!(self.shared.news.notified());
            news.as_mut().enable();
            let step = poll(&mut self.shared.machine(), clock::now());
            match step {
                Step::Ready(ready) => return Ok(ready),
                Step::Fail(error) => return Err(error),
                Step::Wait(until) => {
                    // Either will do: the machine is asked again.
                    let _ = timeout(until.saturating_since(clock::now()), news).await;
                }
                Step::Do(job) => {
                    let done = tokio::spawn(self.clone().work_on(job)).await;
                    match done.map_err(JoinError::try_into_panic) {
                        Ok(()) => {}
                        Err(Ok(panic)) => panic::resume_unwind(panic),
                        Err(Err(_)) => return Err(SessionError::ShutDown),
                    }
                }
            }
        }
    }

    /// Does a job, and those that follow from it: what has begun comes to its end, and is stored,
    /// also if nobody waits for it any more.
    async fn work_on(self, job: Job) {
        let mut next = Some(job);
        while let Some(job) = next {
            self.work(job).await;
            next = match self.shared.machine().poll(clock::now()) {
                Step::Do(job) => Some(job),
                Step::Ready(_) | Step::Wait(_) | Step::Fail(_) => None,
            };
        }
    }

    async fn work(&self, job: Job) {
        let shared = &*self.shared;
        let _in_hand = InHand {
            shared,
            job: job.id(),
        };
        match job {
            Job::Load(load) => {
                let outcome = shared.store.load().await;
                shared.machine().handle_load(clock::now(), load, outcome);
            }
            Job::Swap(swap) => {
                let (expected, record) = (swap.expected(), swap.record().clone());
                let outcome = shared.store.compare_and_swap(expected, record).await;
                shared.machine().handle_swap(clock::now(), swap, outcome);
            }
            Job::Refresh(refresh) => {
                let (operation, retry) = (refresh.operation(), refresh.retry());
                let outcome = self.transport.send_with_retry(operation, retry).await;
                let (now, entropy) = (clock::now(), clock::entropy());
                let mut machine = shared.machine();
                machine.handle_refresh(now, entropy, refresh, outcome);
            }
        }
    }
}

impl Shared {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        // The machine is whole between its steps, whatever a thread that held it died of.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is being done. When it ends, be it by a panic or with its runtime, somebody else can
/// go on.
struct InHand<'a> {
    shared: &'a Shared,
    job: JobId,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        // It changes nothing for a job whose outcome is known.
        self.shared.machine().abandon(self.job);
        self.shared.news.notify_waiters();
    }
}

impl<S: Clone, B> Clone for Session<S, B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            transport: self.transport.clone(),
        }
    }
}

impl<S, B> fmt::Debug for Session<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("machine", &*self.shared.machine())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use dropbox_sign_oauth_store::MemoryStore;

    use super::*;

    /// They run in tasks of a runtime with many threads.
    #[test]
    fn futures_are_send() {
        fn is_send(_: &impl Send) {}
        let app = App::new("client-id", "client-secret").unwrap();
        let transport = Transport::new().unwrap();
        let session = Session::new(app.clone(), transport, MemoryStore::default());
        let request = Request::new(());
        is_send(&session);
        is_send(&session.access_token());
        is_send(&session.authorize(request.clone()));
        is_send(&session.send(|token| app.account(token)));
        let send = |_: Request<()>| ready(Ok::<_, String>(Response::new(())));
        is_send(&session.send_request(&request, send));
    }
}
