//! What a failed refresh says about the refresh token.

use http::StatusCode;

use crate::{
    call::CallError,
    response::{error::Error, error_code::ErrorCode as C},
};

/// What a failed refresh says about the refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is revoked, expired or spent.
    Revoked,
    /// The server rejected it for another reason. After some rejections, it is probably revoked.
    Rejected,
    /// The app's configuration is wrong.
    Configuration,
    /// Nothing: the service or the connection failed.
    Failed,
}

impl Verdict {
    /// The error code decides, and the status only where there is none.
    pub(super) fn of(error: &CallError) -> Self {
        let CallError::Answered(Error::Rejected(rejection)) = error else {
            return Self::Failed;
        };
        match (&rejection.code, rejection.status) {
            (Some(C::InvalidGrant), _) => Self::Revoked,
            (
                Some(
                    C::InvalidClient
                    | C::UnauthorizedClient
                    | C::UnsupportedGrantType
                    | C::InvalidRequest
                    | C::MethodNotSupported,
                ),
                _,
            )
            | (None, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => Self::Configuration,
            (Some(code), _) if code.is_temporary() => Self::Failed,
            (Some(_) | None, _) => Self::Rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use http::Response;

    use super::*;
    use crate::json_body;

    #[test]
    fn the_code_decides_before_the_status() {
        for (status, code, verdict) in [
            (400, "invalid_grant", Verdict::Revoked),
            (401, "invalid_grant", Verdict::Revoked),
            (401, "invalid_client", Verdict::Configuration),
            (400, "unauthorized_client", Verdict::Configuration),
            (400, "unsupported_grant_type", Verdict::Configuration),
            (400, "invalid_request", Verdict::Configuration),
            (404, "", Verdict::Configuration),
            (405, "", Verdict::Configuration),
            (404, "not_found", Verdict::Rejected),
            (401, "", Verdict::Rejected),
            (401, "unauthorized", Verdict::Rejected),
            (403, "", Verdict::Rejected),
            (403, "forbidden", Verdict::Rejected),
            (400, "", Verdict::Rejected),
            (400, "bad_request", Verdict::Rejected),
            (400, "something_new", Verdict::Rejected),
            (410, "deleted", Verdict::Rejected),
            (400, "temporarily_unavailable", Verdict::Failed),
            (429, "", Verdict::Failed),
            (503, "invalid_grant", Verdict::Failed),
            (302, "", Verdict::Failed),
        ] {
            let body = format!(r#"{{"error":"{code}"}}"#);
            let response = Response::builder().status(status).body(body).unwrap();
            let error = json_body(&response, &[]).unwrap_err();
            assert_eq!(Verdict::of(&error.into()), verdict, "{status} {code}");
        }
    }
}
