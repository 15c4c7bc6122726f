//! Meaning of a mail server's refusals: whom they concern, by the stage at which they come and by
//! their codes (RFC 5321, 4.2; RFC 3463).

use std::error::Error;
use std::fmt;

use lettre::transport::smtp::Error as SmtpError;
use marketlake_common::reason;

use super::{SendOutcome, ThrottleScope};

/// Stage of an SMTP transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connection, greeting, EHLO, STARTTLS, AUTH.
    Connect,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, and the answer after the message.
    Data,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the greeting",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
        })
    }
}

/// Outcome of a mail that the server, or the way to it, refused before it was taken.
pub(super) fn refused(stage: Stage, error: &SmtpError) -> SendOutcome {
    let reason = reason(error);
    let Some(code) = error.status() else {
        return broken(stage, reason);
    };
    let code = u16::from(code);
    let text = error.source().map(ToString::to_string);
    let text = text.unwrap_or_default();
    match scope(stage, code, subject(code, &text)) {
        ThrottleScope::All | ThrottleScope::Channel => broken(stage, reason),
        _ if code >= 500 => SendOutcome::Permanent(reason),
        scope => SendOutcome::Throttled {
            scope,
            reason,
            retry_after: None,
        },
    }
}

/// Outcome of a mail whose connection broke, whose server timed out or reported an error of its
/// own, before it took the message. Once the recipient was named it may be the cause: servers query
/// the recipient's server, or close the connection on a recipient that they reject.
pub(super) fn broken(stage: Stage, reason: String) -> SendOutcome {
    match stage {
        Stage::Connect | Stage::Sender => SendOutcome::Unavailable(reason),
        Stage::Recipient | Stage::Data => SendOutcome::Ambiguous(reason),
    }
}

/// Subject of the enhanced status code that a reply begins with, if it has one of the reply's class
/// (RFC 2034, 4).
fn subject(code: u16, text: &str) -> Option<u16> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.').map(|part| part.parse::<u16>().ok());
    let [class, subject, detail] = [parts.next()??, parts.next()??, parts.next()??];
    let is_whole = parts.next().is_none() && detail <= 999;
    (is_whole && class == code / 100).then_some(subject)
}

/// Whom a refusal concerns.
fn scope(stage: Stage, code: u16, subject: Option<u16>) -> ThrottleScope {
    let is_final = code >= 500;
    match (stage, subject) {
        // The server closes its doors (RFC 5321, 3.8); it does not know the mail's receiver yet.
        (Stage::Connect | Stage::Sender, _) => ThrottleScope::Channel,
        _ if code == 421 => ThrottleScope::Channel,
        _ if is_final => ThrottleScope::Address,
        // Addressing, mailbox: busy, full, greylisted.
        (_, Some(1 | 2)) => ThrottleScope::Address,
        (_, None) if code == 450 => ThrottleScope::Address,
        // After the recipient was accepted: the server's own disk or queue, unless it speaks of the
        // receiver.
        (Stage::Data, None | Some(0 | 3)) => ThrottleScope::Channel,
        // Policy, routing, or the receiving domain's server.
        (Stage::Recipient | Stage::Data, _) => ThrottleScope::Destination,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_concerns_the_server_a_domain_or_an_address_by_stage_and_code() {
        use Stage::{Connect, Data, Recipient, Sender};
        for (stage, code, text, expected) in [
            (Connect, 421, "busy", ThrottleScope::Channel),
            (Connect, 554, "no service here", ThrottleScope::Channel),
            (Sender, 451, "4.7.1 slow down", ThrottleScope::Channel),
            (Sender, 550, "5.7.1 sender rejected", ThrottleScope::Channel),
            (Recipient, 421, "4.7.0 closing", ThrottleScope::Channel),
            (Data, 421, "4.3.0 closing", ThrottleScope::Channel),
            (
                Recipient,
                450,
                "mailbox unavailable",
                ThrottleScope::Address,
            ),
            (Recipient, 450, "4.2.0 greylisted", ThrottleScope::Address),
            (Recipient, 452, "4.2.2 mailbox full", ThrottleScope::Address),
            (
                Recipient,
                450,
                "4.7.1 try again later",
                ThrottleScope::Destination,
            ),
            (Recipient, 451, "local error", ThrottleScope::Destination),
            (
                Recipient,
                451,
                "4.4.1 no answer from host",
                ThrottleScope::Destination,
            ),
            (Recipient, 550, "5.1.1 no such user", ThrottleScope::Address),
            (Data, 451, "local error", ThrottleScope::Channel),
            (Data, 452, "4.3.1 disk full", ThrottleScope::Channel),
            (Data, 451, "4.7.1 rate limited", ThrottleScope::Destination),
            (Data, 452, "4.2.2 mailbox full", ThrottleScope::Address),
            (Data, 552, "5.3.4 too big", ThrottleScope::Address),
        ] {
            let is = scope(stage, code, subject(code, text));
            assert_eq!(is, expected, "{stage}: {code} {text}");
        }
        for text in [
            "",
            "4.2",
            "4.2.2.2",
            "5.2.2 of another class",
            "4.x.1",
            "99999999.1.1",
        ] {
            assert_eq!(subject(450, text), None, "{text:?}");
        }
    }
}
