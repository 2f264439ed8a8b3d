//! The error codes of the service.

use alloc::string::String;
use core::fmt;

/// Declares [`ErrorCode`] with the text of each code in one place, for both directions.
macro_rules! error_codes {
    ($($variant:ident = $text:literal, $meaning:literal;)+) => {
        /// The code of an error: `error` of RFC 6749 §5.2 and §4.1.2.1, or `error_name` of the
        /// vendor's API.
        ///
        /// Source: the section "Errors" of the vendor's API reference.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)+
            /// A code that is not in the list, verbatim.
            Other(String),
        }

        impl ErrorCode {
            /// Returns the code as it appears on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl ErrorCode {
            /// Returns the code in the list that has this text.
            pub(crate) fn known(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl<T: AsRef<str> + Into<String>> From<T> for ErrorCode {
            fn from(text: T) -> Self {
                Self::known(text.as_ref()).unwrap_or_else(|| Self::Other(text.into()))
            }
        }

        #[cfg(test)]
        const DOCUMENTED: &[&str] = &[$($text),+];
    };
}

error_codes! {
    InvalidGrant = "invalid_grant", "The code or refresh token is invalid, spent, expired or revoked.";
    InvalidClient = "invalid_client", "The client id or secret is wrong.";
    InvalidRequest = "invalid_request", "The request lacks a parameter or has an invalid one.";
    InvalidScope = "invalid_scope", "The requested scope is invalid or exceeds what the app is allowed.";
    UnsupportedGrantType = "unsupported_grant_type", "The service does not support the grant type.";
    UnsupportedResponseType = "unsupported_response_type", "The service does not support the response type.";
    UnauthorizedClient = "unauthorized_client", "The app may not use this grant.";
    AccessDenied = "access_denied", "The user or the service denied the authorization.";
    ServerError = "server_error", "The service failed.";
    TemporaryUnavailable = "temporary_unavailable", "The service is overloaded or under maintenance (the vendor's spelling).";
    TemporarilyUnavailable = "temporarily_unavailable", "The service is overloaded or under maintenance (the spelling of RFC 6749).";
    PaymentRequired = "payment_required", "The account's plan does not cover the request.";
    AddonRequired = "addon_required", "The account lacks an add-on.";
    QuotaReached = "quota_reached", "The account's quota is exhausted.";
    BadRequest = "bad_request", "The request is invalid.";
    Unauthorized = "unauthorized", "The credentials are missing or invalid.";
    Forbidden = "forbidden", "The credentials do not allow it.";
    NotFound = "not_found", "The resource does not exist.";
    MethodNotSupported = "method_not_supported", "The resource does not support this method.";
    Conflict = "conflict", "The request conflicts with another one.";
    Deleted = "deleted", "The resource was deleted.";
    UnprocessableEntity = "unprocessable_entity", "The request is well formed but cannot be processed.";
    ExceededRate = "exceeded_rate", "The rate limit is exceeded.";
    MaxFaxes = "max_faxes", "The limit of faxes is reached.";
    Unknown = "unknown", "An unknown error.";
    Maintenance = "maintenance", "The service is under maintenance.";
    Unavailable = "unavailable", "The service is not available.";
    TeamInviteFailed = "team_invite_failed", "An invitation to a team failed.";
    InvalidRecipient = "invalid_recipient", "A recipient is invalid.";
    InvalidReminder = "invalid_reminder", "A reminder cannot be sent.";
    SignatureRequestCancelFailed = "signature_request_cancel_failed", "A signature request could not be cancelled.";
    SignatureRequestRemoveFailed = "signature_request_remove_failed", "A signature request could not be removed.";
    SignatureRequestExpired = "signature_request_expired", "A signature request has expired.";
}

impl ErrorCode {
    /// Whether the code says that the service fails for the moment, and not what is wrong with the
    /// request.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::ServerError
                | Self::TemporaryUnavailable
                | Self::TemporarilyUnavailable
                | Self::Maintenance
                | Self::Unavailable
                | Self::ExceededRate
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for text in DOCUMENTED {
            let code = ErrorCode::from(*text);
            assert!(!matches!(code, ErrorCode::Other(_)), "{text}");
            assert_eq!(code.as_str(), *text);
        }
        let code = ErrorCode::from("something_new");
        assert_eq!(code, ErrorCode::Other("something_new".into()));
        assert_eq!(code.as_str(), "something_new");
    }
}
