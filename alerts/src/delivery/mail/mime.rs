//! Assembles a MIME message (RFC 5322, 2045, 8058).

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart, SinglePart};
use marketlake_model::Millis;

use super::dkim::Dkim;
use super::templates::RenderedMail;
use crate::error::AlertError;

/// A mail that is to be put together.
pub(super) struct Draft<'a> {
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a str,
    /// Message-ID and boundaries are made of it, so that the same message is the same mail.
    pub(super) id: &'a str,
    pub(super) date: Millis,
    pub(super) words: RenderedMail,
    /// Content-ID and bytes.
    pub(super) chart: Option<(String, Vec<u8>)>,
    pub(super) proof: Option<Vec<u8>>,
    /// The link that ends the subscription by a POST.
    pub(super) unsubscribe: Option<String>,
    /// Thread identifier, shared by the mails of one subscription.
    pub(super) thread: Option<String>,
    pub(super) kind: &'static str,
}

/// The bytes of a draft.
pub(super) fn assemble(draft: Draft<'_>, dkim: Option<&Dkim>) -> Result<Vec<u8>, AlertError> {
    let wrong = |error: &dyn std::fmt::Display| AlertError::Message(error.to_string().into());
    let to: lettre::Address = draft.to.parse().map_err(|error| wrong(&error))?;
    let domain = draft.from.email.domain().to_owned();
    let millis = u64::try_from(draft.date.0).unwrap_or(0);
    let mut builder = Message::builder()
        .from(draft.from.clone())
        .to(Mailbox::new(None, to))
        .subject(draft.words.subject.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
        .message_id(Some(format!("<{}@{domain}>", draft.id)))
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        .raw_header(header("Feedback-ID", format!("{}:marketlake", draft.kind)));
    if let Some(thread) = &draft.thread {
        // A message that never was: clients gather all that name it.
        let root = format!("<{thread}@{domain}>");
        builder = builder
            .raw_header(header("In-Reply-To", root.clone()))
            .raw_header(header("References", root))
            .raw_header(header("List-Id", format!("<{thread}.{domain}>")));
    }
    if let Some(link) = &draft.unsubscribe {
        builder = builder
            .raw_header(header("List-Unsubscribe", format!("<{link}>")))
            .raw_header(header(
                "List-Unsubscribe-Post",
                "List-Unsubscribe=One-Click".to_owned(),
            ));
    }
    let mut message = builder
        .multipart(body(draft))
        .map_err(|error| wrong(&error))?;
    if let Some(dkim) = dkim {
        dkim.sign(&mut message);
    }
    Ok(message.formatted())
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn body(draft: Draft<'_>) -> MultiPart {
    let boundary = |part: &str| format!("{part}-{}", draft.id);
    let words = MultiPart::alternative()
        .boundary(boundary("words"))
        .singlepart(SinglePart::plain(with_crlf(&draft.words.text)));
    let page = SinglePart::html(with_crlf(&draft.words.html));
    let words = match draft.chart {
        None => words.singlepart(page),
        Some((id, bytes)) => {
            let png = ContentType::parse("image/png").unwrap_or(ContentType::TEXT_PLAIN);
            let picture =
                Attachment::new_inline_with_name(id, "chart.png".to_owned()).body(bytes, png);
            let page = MultiPart::related()
                .boundary(boundary("page"))
                .singlepart(page)
                .singlepart(picture);
            words.multipart(page)
        }
    };
    let Some(proof) = draft.proof else {
        return words;
    };
    let json = ContentType::parse("application/json").unwrap_or(ContentType::TEXT_PLAIN);
    // Never refused for bytes: base64 takes all.
    let proof =
        Body::new_with_encoding(proof, ContentTransferEncoding::Base64).unwrap_or_else(Body::new);
    MultiPart::mixed()
        .boundary(boundary("all"))
        .multipart(words)
        .singlepart(Attachment::new("proof.json".to_owned()).body(proof, json))
}

/// Lines end in CRLF (RFC 5322, 2.3); servers refuse bare line feeds, since they can smuggle a
/// second mail in.
fn with_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}
