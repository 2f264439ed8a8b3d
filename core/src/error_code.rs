//! The codes by which the service names an error.

use alloc::string::String;
use core::fmt;

/// Declares [`ErrorCode`] with each code's text once, for both directions.
macro_rules! error_codes {
    ($($variant:ident = $text:literal, $meaning:literal;)+) => {
        /// The code of an error: `error` of RFC 6749 §5.2 and §4.1.2.1, or `error_name` of the
        /// vendor's API.
        ///
        /// The vendor's list stands in its API reference, under "Errors".
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)+
            /// A code that is not in the list, as its text.
            Other(String),
        }

        impl ErrorCode {
            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for ErrorCode {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text),
                }
            }
        }

        #[cfg(test)]
        const DOCUMENTED: &[&str] = &[$($text),+];
    };
}

error_codes! {
    InvalidGrant = "invalid_grant", "The code or refresh token is wrong, spent, expired or revoked.";
    InvalidClient = "invalid_client", "The client id or secret is wrong.";
    InvalidRequest = "invalid_request", "The request lacks a parameter, or has a wrong one.";
    InvalidScope = "invalid_scope", "The app may not have what it asks for.";
    UnsupportedGrantType = "unsupported_grant_type", "The service does not know the grant type.";
    UnsupportedResponseType = "unsupported_response_type", "The service does not know the response type.";
    UnauthorizedClient = "unauthorized_client", "The app may not use this grant.";
    AccessDenied = "access_denied", "The user, or the service, said no on the authorize page.";
    ServerError = "server_error", "The service failed.";
    TemporaryUnavailable = "temporary_unavailable", "The service is overloaded or under maintenance (the vendor's spelling).";
    TemporarilyUnavailable = "temporarily_unavailable", "The service is overloaded or under maintenance (the spelling of RFC 6749).";
    PaymentRequired = "payment_required", "The account's plan does not cover the request.";
    AddonRequired = "addon_required", "The account lacks an add-on.";
    QuotaReached = "quota_reached", "The account's quota is used up.";
    BadRequest = "bad_request", "The request is wrong.";
    Unauthorized = "unauthorized", "The credentials are absent or wrong.";
    Forbidden = "forbidden", "The credentials do not allow it.";
    NotFound = "not_found", "There is nothing by that name.";
    MethodNotSupported = "method_not_supported", "The address does not take this method.";
    Conflict = "conflict", "The request conflicts with another one.";
    Deleted = "deleted", "What was asked for was deleted.";
    UnprocessableEntity = "unprocessable_entity", "The request is well formed, but cannot be followed.";
    ExceededRate = "exceeded_rate", "Too many requests.";
    MaxFaxes = "max_faxes", "The limit of faxes is reached.";
    Unknown = "unknown", "The service does not know what went wrong.";
    Maintenance = "maintenance", "The service is under maintenance.";
    Unavailable = "unavailable", "The service is not available.";
    TeamInviteFailed = "team_invite_failed", "An invitation to a team failed.";
    InvalidRecipient = "invalid_recipient", "A recipient is wrong.";
    InvalidReminder = "invalid_reminder", "A reminder cannot be sent.";
    SignatureRequestCancelFailed = "signature_request_cancel_failed", "A signature request could not be cancelled.";
    SignatureRequestRemoveFailed = "signature_request_remove_failed", "A signature request could not be removed.";
    SignatureRequestExpired = "signature_request_expired", "A signature request has expired.";
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
            let code = ErrorCode::from(String::from(*text));
            assert!(!matches!(code, ErrorCode::Other(_)), "{text}");
            assert_eq!(code.as_str(), *text);
        }
        let code = ErrorCode::from(String::from("something_new"));
        assert_eq!(code, ErrorCode::Other("something_new".into()));
        assert_eq!(code.as_str(), "something_new");
    }
}
