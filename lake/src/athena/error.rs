//! Errors of Athena, each with the remedy.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use marketlake_common::reason;

/// Error of Athena.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AthenaError {
    /// The lake is not in S3.
    #[error("athena reads S3 only, and store.url is {0}")]
    NeedsBucket(String),
    /// No workgroup is configured.
    #[error("no workgroup is named: set athena.workgroups")]
    NoneNamed,
    /// None of the workgroups can be used.
    #[error(
        "athena: no workgroup can be used ({0}): check athena.workgroups, and the IAM permissions \
         that docs/aws.md lists"
    )]
    NoWorkgroup(String),
    /// All were busy for too long.
    #[error(
        "athena: still refused after {seconds} s ({reason}): try again later, name more \
         workgroups, or have the account's quota raised"
    )]
    Busy {
        /// Duration of the attempts.
        seconds: u64,
        /// Last reason given.
        reason: String,
    },
    /// It would have to read more than may be read.
    #[error(
        "athena: the query would read up to {bytes} bytes, more than athena.max_scanned_gigabytes \
         allows, {max}: request a shorter time, or raise it"
    )]
    TooLarge {
        /// Bytes in the queried days.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The workgroup ended it because it read too much.
    #[error(
        "athena: the workgroup's scan limit ended query {id} ({reason}): request a shorter time, \
         or raise the limit"
    )]
    ScanLimit {
        /// The query.
        id: String,
        /// Athena's message.
        reason: String,
    },
    /// Its tables are missing, or others.
    #[error("athena: {0}: run `marketlake athena setup`")]
    NotSetUp(String),
    /// The query failed.
    #[error("athena: query {id} failed: {reason}")]
    Failed {
        /// The query.
        id: String,
        /// Athena's message.
        reason: String,
    },
    /// The query did not end in time, and was stopped.
    #[error(
        "athena: query {id} had not ended after {seconds} s and was stopped: request a shorter \
         time, or raise athena.timeout"
    )]
    Slow {
        /// The query.
        id: String,
        /// Duration of the wait.
        seconds: u64,
    },
    /// The object with its rows is not there.
    #[error(
        "athena: the result of query {id} is gone ({reason}): does a lifecycle rule delete \
         {location}?"
    )]
    ResultGone {
        /// The query.
        id: String,
        /// Location of the result.
        location: String,
        /// S3's message.
        reason: String,
    },
    /// The credentials are unknown or expired.
    #[error("athena: the credentials are refused ({0}): `marketlake doctor` shows which are used")]
    Credentials(String),
    /// It could not be reached, or answered with an error of its own.
    #[error("athena: cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that is no answer.
    #[error("athena: unexpected answer: {0}")]
    Unexpected(String),
}

/// Error of one call, by what may follow it.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// Too many calls or queries: another workgroup, or later.
    Throttled(String),
    /// The answer was lost, or there was none: the same call again.
    Lost(String),
    /// The credentials have ended, or are none: fresh ones may do.
    Credentials(String),
    /// This workgroup cannot be used.
    Workgroup(String),
    /// The call itself is wrong.
    Refused(String),
}

impl CallError {
    /// Reads an error of the SDK.
    pub(crate) fn from_sdk<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let SdkError::ServiceError(service) = error else {
            let said = reason(error);
            return match error {
                // No credentials at all end as such a failure.
                SdkError::DispatchFailure(_) if said.contains("credentials") => {
                    Self::Credentials(said)
                }
                SdkError::ConstructionFailure(_) => Self::Refused(said),
                _ => Self::Lost(said),
            };
        };
        let code = service.err().code().unwrap_or_default();
        let message = service.err().message().unwrap_or_default();
        let said = format!("{code}: {message}");
        match code {
            "TooManyRequestsException" | "ThrottlingException" | "Throttling" => {
                Self::Throttled(said)
            }
            "AccessDeniedException" => Self::Workgroup(said),
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "InvalidClientTokenId" => Self::Credentials(said),
            "InvalidRequestException" if message.to_lowercase().contains("workgroup") => {
                Self::Workgroup(said)
            }
            "InternalServerException" => Self::Lost(said),
            _ if service.raw().status().is_server_error() => Self::Lost(said),
            _ => Self::Refused(said),
        }
    }
}
