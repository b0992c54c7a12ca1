//! Where a walk through a list's pages stands, and whether what they say shows that it is whole. No input or output.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::ScimId;

// More than any company has, and few enough that a list without end takes a bounded time and memory.
const PAGES: usize = 40_000;
const ITEMS: usize = 2_000_000;

/// Where one pass through a list stands.
pub struct Walk<T> {
    pub found: BTreeMap<ScimId, T>,
    pub next: Ask,
    pub pages: usize,
    /// The last page's `startIndex`.
    pub said: Option<u64>,
    /// The first page's `itemsPerPage`.
    pub per_page: Option<u64>,
    first: Option<ScimId>,
    total: Option<usize>,
    items: usize,
    cursors: BTreeSet<String>,
}

#[derive(Clone)]
pub enum Ask {
    /// 1-based.
    From(usize),
    Cursor(String),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Ask,
    Done,
    /// Taken for the whole, which it need not be: the service gives the same whatever is asked.
    Taken,
    /// The only page came again, and its totalResults may count that page alone: another question has to tell.
    Doubt,
    Short(String),
    TooLong(String),
}

impl<T> Walk<T> {
    pub fn new(next: Ask) -> Self {
        Walk {
            found: BTreeMap::new(),
            next,
            pages: 0,
            said: None,
            per_page: None,
            first: None,
            total: None,
            items: 0,
            cursors: BTreeSet::new(),
        }
    }

    pub fn take(&mut self, page: Vec<(ScimId, T)>, total: Option<u64>, cursor: Option<String>) -> Step {
        let past_end = matches!(self.next, Ask::From(_)) && self.is_full();
        let (empty, before) = (page.is_empty(), self.found.len());
        self.pages += 1;
        self.items += page.len();
        if self.pages == 1 {
            self.first = page.first().map(|(id, _)| id.clone());
        }
        self.found.extend(page);
        let new = self.found.len() - before;
        if self.pages > PAGES || self.items > ITEMS {
            return Step::TooLong(format!("the list does not end within {PAGES} pages and {ITEMS} entries"));
        }
        #[expect(clippy::disallowed_methods, reason = "no list is as long as that")]
        let total = total.map(|total| usize::try_from(total).unwrap_or(usize::MAX));
        match (self.total, total) {
            // Some count the page only; behind the end there is nothing left to miss.
            (Some(old), Some(new)) if past_end && empty && new < old => {}
            (Some(old), Some(new)) if old != new => {
                return Step::Short(format!("totalResults went from {old} to {new} while it was read"));
            }
            (_, Some(total)) => self.total = Some(total),
            (_, None) => {}
        }
        if let Some(total) = self.total.filter(|total| self.found.len() > *total) {
            return Step::Short(format!("it holds more than the {total} of its totalResults"));
        }
        match (cursor, &self.next) {
            (Some(cursor), _) => {
                if !self.cursors.insert(cursor.clone()) {
                    return Step::Short("the service gave the same cursor twice".into());
                }
                self.next = Ask::Cursor(cursor);
                Step::Ask
            }
            (None, Ask::Cursor(_)) => self.end(),
            (None, Ask::From(_)) if empty => self.end(),
            (None, Ask::From(_)) if new == 0 && self.total.is_none() => {
                Step::Short("the service gives no totalResults and repeats itself".into())
            }
            (None, Ask::From(_)) if new == 0 && self.is_one_page() => Step::Doubt,
            (None, Ask::From(_)) if new == 0 => self.end(),
            (None, Ask::From(_)) => {
                self.next = Ask::From(1 + self.items);
                Step::Ask
            }
        }
    }

    /// As many as the service says there are.
    pub fn is_full(&self) -> bool {
        self.total.is_some_and(|total| self.found.len() >= total)
    }

    /// The page behind the end is refused: whether what was read by then is all there is.
    pub fn refused(&self) -> Step {
        match self.is_full() {
            true if self.pages == 1 && self.found.len() > 1 => Step::Doubt,
            true => Step::Done,
            false => self.end(),
        }
    }

    /// Everything was on the first page, so that totalResults may be its length and no more.
    fn is_one_page(&self) -> bool {
        self.pages == 2 && self.found.len() > 1 && self.total == Some(self.found.len())
    }

    /// What the second entry alone, asked for by its place, says of the doubt: `ids` came, with `total`.
    pub fn settle(&self, ids: &[ScimId], total: Option<u64>) -> Step {
        let whole = self.found.len();
        let shorter = ids.len() < whole;
        let is_real = total == Some(whole as u64);
        let moves = !ids.is_empty() && ids.first() != self.first.as_ref();
        match shorter {
            true if is_real || moves => Step::Done,
            true => Step::Short(format!(
                "it repeats its first page of {whole} entries, and its totalResults counts that page only{PAGE}"
            )),
            false => self.unasked(),
        }
    }

    /// The same page comes whatever is asked: it can be everything, or all that the service gives at once.
    pub fn unasked(&self) -> Step {
        let whole = self.found.len();
        let is_full_page = self.per_page.is_none_or(|per_page| per_page == whole as u64);
        if is_full_page && is_usual_size(whole) {
            return Step::Short(format!(
                "it gives the same {whole} entries whatever is asked, as many as services put on one page, so there may be more{PAGE}"
            ));
        }
        Step::Taken
    }

    fn end(&self) -> Step {
        match self.total {
            Some(total) if self.found.len() < total => {
                let elsewhere = match (&self.next, self.said) {
                    (Ask::From(asked), Some(said)) if said != *asked as u64 => {
                        format!("; asked from entry {asked} on, it answered from entry {said} on{PAGE}")
                    }
                    _ => String::new(),
                };
                Step::Short(format!("it ended after {} of {total} entries{elsewhere}", self.found.len()))
            }
            Some(_) | None => Step::Done,
        }
    }
}

/// The remedy where a service does not page as it was asked.
const PAGE: &str = "; have the app's vendor make its lists follow startIndex and count (RFC 7644, section 3.4.2.4), or give all at once with the right totalResults";

/// Lengths at which services cut.
fn is_usual_size(length: usize) -> bool {
    length > 0 && (length.is_multiple_of(10) || length.is_multiple_of(25) || (length >= 16 && length.is_power_of_two()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pages of (ids, totalResults, cursor) and says how the last one was taken, and where a next one would begin.
    fn walk(pages: &[(&[u32], Option<u64>, Option<&str>)]) -> (Step, usize) {
        let mut walk = Walk::new(Ask::From(1));
        let mut step = Step::Ask;
        for (n, (ids, total, cursor)) in pages.iter().enumerate() {
            assert_eq!(step, Step::Ask, "page {n} was not asked for");
            let page = ids.iter().map(|id| (ScimId::from(id.to_string()), ())).collect();
            step = walk.take(page, *total, cursor.map(str::to_owned));
        }
        (step, walk.found.len())
    }

    fn is_short(pages: &[(&[u32], Option<u64>, Option<&str>)]) -> bool {
        matches!(walk(pages).0, Step::Short(_))
    }

    #[test]
    fn the_end_is_looked_behind_before_it_is_believed() {
        assert_eq!(walk(&[(&[1, 2], Some(3), None), (&[3], Some(3), None)]).0, Step::Ask);
        assert_eq!(walk(&[(&[1, 2], Some(3), None), (&[3], Some(3), None), (&[], Some(3), None)]), (Step::Done, 3));
        assert_eq!(walk(&[(&[1, 2], Some(2), None), (&[1, 2], Some(2), None)]), (Step::Doubt, 2));
        assert_eq!(walk(&[(&[1], Some(1), None), (&[1], Some(1), None)]), (Step::Done, 1));
        assert_eq!(walk(&[(&[], Some(0), None)]), (Step::Done, 0));
    }

    #[test]
    fn a_short_list_is_never_taken_for_the_whole() {
        assert!(is_short(&[(&[1], Some(2), None), (&[], Some(2), None)]));
        assert!(is_short(&[(&[1], Some(2), None), (&[1], Some(2), None)]));
        assert!(is_short(&[(&[], Some(2), None)]));
        assert!(is_short(&[(&[1], Some(2), Some("a")), (&[], Some(2), None)]));
        assert!(is_short(&[(&[1], None, Some("a")), (&[2], None, Some("a"))]));
    }

    #[test]
    fn a_list_that_moves_is_read_anew() {
        assert!(is_short(&[(&[1], Some(2), None), (&[2], Some(3), None)]));
        assert!(is_short(&[(&[1, 2], Some(2), None), (&[3], Some(2), None)]));
        assert!(is_short(&[(&[1, 2], Some(2), None), (&[], Some(3), None)]));
    }

    #[test]
    fn a_total_of_the_empty_page_alone_is_no_movement() {
        assert_eq!(walk(&[(&[1, 2], Some(2), None), (&[], Some(0), None)]), (Step::Done, 2));
    }

    #[test]
    fn without_a_total_only_an_empty_page_ends_a_list() {
        assert_eq!(walk(&[(&[1, 2], None, None), (&[], None, None)]), (Step::Done, 2));
        assert!(is_short(&[(&[1, 2], None, None), (&[1, 2], None, None)]));
    }

    #[test]
    fn cursors_are_followed_over_empty_pages() {
        let pages: [(&[u32], _, _); 3] = [(&[1], Some(2), Some("a")), (&[], Some(2), Some("b")), (&[2], Some(2), None)];
        assert_eq!(walk(&pages), (Step::Done, 2));
    }

    #[test]
    fn the_list_of_a_large_company_is_read_to_its_end() {
        let mut walk = Walk::new(Ask::From(1));
        let page = |n: usize| (0..100).map(|m| (ScimId::from((n * 100 + m).to_string()), ())).collect();
        for n in 0..3_000 {
            assert_eq!(walk.take(page(n), Some(300_000), None), Step::Ask);
        }
        assert_eq!((walk.take(Vec::new(), Some(300_000), None), walk.found.len()), (Step::Done, 300_000));
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        let mut walk = Walk::new(Ask::From(1));
        let last =
            (0..).map(|n: usize| walk.take(vec![(ScimId::from(n.to_string()), ())], None, None)).find(|step| *step != Step::Ask);
        assert!(matches!(last, Some(Step::TooLong(_))));
    }
}
