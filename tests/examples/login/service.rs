//! The service that is used, and the app that is registered there.

use std::env::{self, VarError};

use dropbox_sign_oauth::{App, Endpoints};
use dropbox_sign_oauth_testkit::sandbox::{self, Sandbox};

use crate::{
    arguments::{Options, Simulation, Target, Visitor},
    failure::Failure,
};

const CLIENT_ID: &str = "DROPBOX_SIGN_CLIENT_ID";
const CLIENT_SECRET: &str = "DROPBOX_SIGN_CLIENT_SECRET";

pub(crate) struct Service {
    app: App,
    /// Runs as long as this does.
    sandbox: Option<Sandbox>,
}

impl Service {
    pub(crate) fn start(options: &Options) -> Result<Self, Failure> {
        match &options.target {
            Target::Sandbox => Self::start_sandbox(options),
            Target::Endpoint(endpoints) => {
                let credentials = credentials()?.unwrap_or_else(|| Credentials {
                    id: sandbox::CLIENT_ID.into(),
                    secret: sandbox::CLIENT_SECRET.into(),
                });
                credentials.app((**endpoints).clone())
            }
            Target::Live => {
                let credentials = credentials()?.ok_or_else(|| {
                    Failure::usage(format!(
                        "{CLIENT_ID} and {CLIENT_SECRET} are not set; copy them from the app's \
                         settings (sign.dropbox.com, Settings, API), or leave out --live"
                    ))
                })?;
                credentials.app(Endpoints::default())
            }
        }
    }

    fn start_sandbox(options: &Options) -> Result<Self, Failure> {
        let builder = Sandbox::builder();
        let builder = match (options.visitor, options.simulation) {
            (_, Some(Simulation::Denied)) => builder.automatic_denial(),
            (Visitor::StandIn, _) => builder.automatic(),
            (Visitor::Person | Visitor::Nobody, _) => builder,
        };
        let failed = |error| Failure::new(format!("cannot start the sandbox: {error}"));
        let sandbox = builder.start().map_err(failed)?;
        let app = if options.simulation == Some(Simulation::WrongSecret) {
            let app = App::builder(sandbox.client_id(), "not-the-secret");
            let app = app.endpoints(sandbox.endpoints()).build();
            app.map_err(|error| Failure::new(error.to_string()))?
        } else {
            sandbox.app()
        };
        Ok(Self {
            app,
            sandbox: Some(sandbox),
        })
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// The sandbox that this program has started, if it has.
    pub(crate) fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }
}

struct Credentials {
    id: String,
    secret: String,
}

impl Credentials {
    fn app(self, endpoints: Endpoints) -> Result<Service, Failure> {
        let app = App::builder(&self.id, &self.secret).endpoints(endpoints);
        let app = app.build().map_err(|error| {
            Failure::usage(format!("{error}; check {CLIENT_ID} and {CLIENT_SECRET}"))
        })?;
        let sandbox = None;
        Ok(Service { app, sandbox })
    }
}

/// The credentials of the environment; none if it has neither half.
fn credentials() -> Result<Option<Credentials>, Failure> {
    let missing = |name, other| {
        let line = format!("{name} is not set, and {other} is; set both, or neither");
        Err(Failure::usage(line))
    };
    match (variable(CLIENT_ID)?, variable(CLIENT_SECRET)?) {
        (Some(id), Some(secret)) => Ok(Some(Credentials { id, secret })),
        (None, None) => Ok(None),
        (None, Some(_)) => missing(CLIENT_ID, CLIENT_SECRET),
        (Some(_), None) => missing(CLIENT_SECRET, CLIENT_ID),
    }
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        // The error would show the value.
        Err(VarError::NotUnicode(_)) => {
            let line = format!("{name} is not text; copy it again from the app's settings");
            Err(Failure::usage(line))
        }
    }
}
