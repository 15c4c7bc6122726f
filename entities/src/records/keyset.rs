//! Pages by position, of rows that are ordered by a time and an id, the newest first.

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select,
};

/// Position and size of a page. A place is the row's (time, id).
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyset {
    /// Start after this place.
    pub(super) after: Option<(i64, i64)>,
    /// End before this place.
    pub(super) before: Option<(i64, i64)>,
    /// Oldest first.
    pub(super) backwards: bool,
    /// Maximum number of rows.
    pub(super) limit: u64,
}

impl Keyset {
    /// Restricts a query to the page, by the columns of the time and the id.
    pub(super) fn select<E: EntityTrait>(
        self,
        mut select: Select<E>,
        time: impl ColumnTrait,
        id: impl ColumnTrait,
    ) -> Select<E> {
        if let Some((at, of_id)) = self.after {
            let same_time = time.eq(at).and(id.lt(of_id));
            select = select.filter(time.lt(at).or(same_time));
        }
        if let Some((at, of_id)) = self.before {
            let same_time = time.eq(at).and(id.gt(of_id));
            select = select.filter(time.gt(at).or(same_time));
        }
        let order = if self.backwards {
            Order::Asc
        } else {
            Order::Desc
        };
        select
            .order_by(time, order.clone())
            .order_by(id, order)
            .limit(self.limit)
    }
}
