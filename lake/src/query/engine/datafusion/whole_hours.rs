//! Split of a span into whole hours, which rollups answer, and the rest.

use crate::span::Span;

/// The hours that lie whole in a span.
pub(super) fn whole_hours(span: Span) -> Option<Span> {
    let from = span.from.plus(59).hour();
    let to = span.to.plus(1).hour().plus(-1);
    (from < to).then_some(Span { from, to })
}

/// Parts of a span before and after its whole hours.
pub(super) fn outside(span: Span, hours: Span) -> (Option<Span>, Option<Span>) {
    let before = Span {
        from: span.from,
        to: hours.from.plus(-1),
    };
    let after = Span {
        from: hours.to.plus(1),
        to: span.to,
    };
    let some = |part: Span| (part.from <= part.to).then_some(part);
    (some(before), some(after))
}
