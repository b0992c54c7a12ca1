//! The groups as a table, sorted and filtered by the query of the address: it works without scripts, and a link can be sent on.

use super::Time;
use super::words::group_words;
use crate::model::status::{GroupState, GroupStatus};

/// So many fit a page that stays small.
const ROWS: usize = 50;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    #[default]
    Name,
    State,
    Members,
}

/// What of the groups is asked for; what makes no sense is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct Query {
    by: By,
    down: bool,
    only: Option<GroupState>,
    /// From 0.
    page: usize,
}

impl Query {
    pub(in crate::serve) fn of(text: &str) -> Query {
        let mut query = Query::default();
        for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "sort" => {
                    query.down = value.starts_with('-');
                    query.by = match value.trim_start_matches('-') {
                        "state" => By::State,
                        "members" => By::Members,
                        _ => By::Name,
                    };
                }
                "show" => query.only = GroupState::ALL.iter().copied().find(|state| state.as_str() == value),
                "page" => query.page = value.parse::<usize>().unwrap_or(1).saturating_sub(1),
                _ => {}
            }
        }
        query
    }

    fn link(self) -> String {
        let by = match self.by {
            By::Name => "name",
            By::State => "state",
            By::Members => "members",
        };
        let only = self.only.map(|state| format!("&show={state}")).unwrap_or_default();
        let page = if self.page > 0 { format!("&page={}", self.page + 1) } else { String::new() };
        format!("?sort={}{by}{only}{page}#groups", if self.down { "-" } else { "" })
    }

    fn sorts(self, groups: &mut [&GroupStatus]) {
        let place = |state| GroupState::ALL.iter().position(|known| *known == state);
        match self.by {
            By::Name => {}
            By::State => groups.sort_by_key(|group| place(group.state)),
            By::Members => groups.sort_by_key(|group| group.members),
        }
        if self.down {
            groups.reverse();
        }
    }
}

pub(super) struct Table<'a> {
    pub columns: [Column; 3],
    /// Where there is something to choose from.
    pub filters: Vec<Filter>,
    pub rows: Vec<Row<'a>>,
    pub all: usize,
    /// Where they do not fit one page.
    pub pages: Vec<Filter>,
}

pub(super) struct Column {
    pub title: &'static str,
    pub link: String,
    /// As `aria-sort` has it.
    pub sorted: Option<&'static str>,
    pub class: &'static str,
}

pub(super) struct Filter {
    pub label: String,
    pub link: String,
    pub is_current: bool,
}

pub(super) struct Row<'a> {
    pub id: String,
    pub name: &'a str,
    pub tone: &'static str,
    pub state: &'static str,
    pub was: Option<(&'static str, Time)>,
    pub members: String,
    /// Where the members are older than the page.
    pub old: Option<Time>,
    pub why: Option<&'a str>,
    /// Why is said above.
    pub is_told: bool,
}

pub(super) fn table<'a>(
    groups: &'a [GroupStatus],
    query: Query,
    told: impl Fn(&str) -> bool,
    time: impl Fn(jiff::Timestamp) -> Time,
    now: Option<jiff::Timestamp>,
) -> Table<'a> {
    let mut chosen: Vec<&GroupStatus> =
        groups.iter().filter(|group| query.only.is_none_or(|state| group.state == state)).collect();
    query.sorts(&mut chosen);
    let pages = chosen.len().div_ceil(ROWS).max(1);
    let query = Query { page: query.page.min(pages - 1), ..query };
    let row = |group: &&'a GroupStatus| {
        let (tone, state) = group_words(group.state);
        Row {
            id: group.id.to_string(),
            name: &group.name,
            tone,
            state,
            was: group.last_known.map(|known| (group_words(known.state).1, time(known.at))),
            members: group.members.map_or_else(|| "–".into(), |members| members.to_string()),
            old: group.members_seen_at.filter(|at| Some(*at) != now).map(&time),
            why: group.why.as_deref(),
            is_told: group.why.as_deref().is_some_and(&told),
        }
    };
    Table {
        columns: [(By::Name, "Group", ""), (By::State, "What happens", ""), (By::Members, "People in it", "number")].map(
            |(by, title, class)| {
                let is_now = query.by == by;
                let down = is_now && !query.down;
                let sorted = is_now.then_some(if query.down { "descending" } else { "ascending" });
                Column { title, link: Query { by, down, page: 0, ..query }.link(), sorted, class }
            },
        ),
        filters: filters(groups, query),
        rows: chosen.iter().skip(query.page * ROWS).take(ROWS).map(row).collect(),
        all: groups.len(),
        pages: (0..pages)
            .filter(|_| pages > 1)
            .map(|page| Filter {
                label: (page + 1).to_string(),
                link: Query { page, ..query }.link(),
                is_current: page == query.page,
            })
            .collect(),
    }
}

fn filters(groups: &[GroupStatus], query: Query) -> Vec<Filter> {
    let states = GroupState::ALL.iter().filter_map(|state| {
        let count = groups.iter().filter(|group| group.state == *state).count();
        (count > 0).then_some((Some(*state), group_words(*state).1, count))
    });
    let states: Vec<_> = states.collect();
    if states.len() < 2 && query.only.is_none() {
        return Vec::new();
    }
    let all = std::iter::once((None, "All", groups.len()));
    all.chain(states)
        .map(|(only, words, count)| Filter {
            label: format!("{words} {count}"),
            link: Query { only, page: 0, ..query }.link(),
            is_current: query.only == only,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_back_as_it_was_linked_and_nonsense_is_nothing() {
        for text in ["sort=name", "sort=-members&show=Refused", "sort=state&show=Gone&page=3"] {
            assert_eq!(Query::of(text).link(), format!("?{text}#groups"));
        }
        for text in ["", "sort", "sort=<script>", "show=refused&page=x", "page=0", "page=99999999999999999999999"] {
            assert_eq!(Query::of(text), Query::default(), "{text}");
        }
    }
}
