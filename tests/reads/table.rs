//! The table as data: which reads there are, how one can fail, when, for how long; and the rules for what is left out.

use std::fmt;

/// One read of the daemon, as a line of the contract's list.
#[derive(Debug)]
pub struct Read {
    pub name: &'static str,
    pub line: (&'static str, &'static str),
    pub shape: Shape,
    pub of: Of,
    pub by: By,
    /// The phases in which a run without trouble asks for it.
    pub from: Phase,
    pub until: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    List,
}

/// Which of its answers fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Every,
    /// All pages but the first.
    LaterPages,
    /// The group of this number: one item among those of its batch.
    Group(usize),
}

/// How the config names the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    ObjectId,
    AppId,
    Name,
}

macro_rules! names {
    ($name:ident { $($variant:ident $text:literal),+ $(,)? }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($variant),+ }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
    };
}

names!(Way {
    Denied "403-json",
    DeniedHtml "403-html",
    Missing "404-json",
    Throttled "429",
    Broken "500",
    Hang "timeout",
    Cut "cut",
    Empty "empty",
    Short "short",
    Stale "stale",
});

// A phase begins with the turn that comes to it where nothing goes wrong, so that what fails there is what that turn rests on.
names!(Phase {
    First "first",
    Assigning "assigning",
    Canary "canary",
    Emptying "emptying",
    Unassigning "unassigning",
    AwaitingCycle "awaiting-cycle",
    AwaitingRevocation "awaiting-revocation",
    Revoked "revoked",
    Retired "retired",
});

names!(Length {
    Once "once",
    Turns "turns",
    ForGood "for-good",
});

// What an admin does in the turn in which it begins to fail.
names!(Deed {
    Nothing "",
    Loss "loss",
});

impl Way {
    /// An answer that looks right and is wrong.
    pub fn is_lie(self) -> bool {
        matches!(self, Way::Empty | Way::Short | Way::Stale)
    }
}

impl Read {
    pub fn graph(&self) -> bool {
        self.line.1.starts_with("/v1.0")
    }

    /// Nothing else that the daemon reads tells the same.
    fn is_only_witness(&self) -> bool {
        ["policies", "other-apps", "parents", "eligibilities", "scim-users"].iter().any(|name| self.name.starts_with(name))
    }

    /// Nobody asks for it unless somebody is missing.
    pub fn needs_somebody_missing(&self) -> bool {
        matches!(self.name, "user" | "scim-user")
    }
}

const fn read(name: &'static str, path: &'static str, shape: Shape, of: Of, from: Phase, until: Phase) -> Read {
    Read { name, line: ("GET", path), shape, of, by: By::ObjectId, from, until }
}

const APP: &str = "/v1.0/servicePrincipals/{servicePrincipal-id}";
const ASSIGNED: &str = "/v1.0/servicePrincipals/{servicePrincipal-id}/appRoleAssignedTo";
const GROUP: &str = "/v1.0/groups/{group-id}";
const MEMBERS: &str = "/v1.0/groups/{group-id}/members";
const PROPERTIES: &str = "/v1.0/groups/{group-id}/members/microsoft.graph.user";
const OTHER_APPS: &str = "/v1.0/groups/{group-id}/appRoleAssignments";
const PARENTS: &str = "/v1.0/groups/{group-id}/memberOf";
const POLICIES: &str = "/v1.0/identity/conditionalAccess/policies";
const ACTIVE: &str = "/v1.0/identityGovernance/privilegedAccess/group/assignmentScheduleInstances";
const ELIGIBLE: &str = "/v1.0/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
const JOBS: &str = "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/jobs";
const SCHEMA: &str = "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/jobs/{synchronizationJob-id}/schema";
const SECRETS: &str = "/v1.0/servicePrincipals/{servicePrincipal-id}/synchronization/secrets";

/// The group without any other use.
pub const PLAIN: usize = 1;
/// Named by a policy; assigned to another app; member of another group; governed by Privileged Identity Management: a person
/// decides about each.
pub const BY_POLICY: usize = 2;
pub const BY_APP: usize = 3;
pub const BY_PARENT: usize = 4;
pub const BY_PIM: usize = 5;

pub static READS: &[Read] = {
    use Of::*;
    use Phase::*;
    use Shape::*;
    &[
        Read { line: ("POST", "/{tenant}/oauth2/v2.0/token"), ..read("token", "", One, Every, First, Retired) },
        read("app", APP, One, Every, First, Retired),
        Read { by: By::AppId, ..read("app-by-app-id", "/v1.0/servicePrincipals(appId='{appId}')", One, Every, First, Retired) },
        Read { by: By::Name, ..read("app-by-name", "/v1.0/servicePrincipals", List, Every, First, Retired) },
        read("assignments", ASSIGNED, List, Every, First, Retired),
        read("assignments-later-pages", ASSIGNED, List, LaterPages, First, Retired),
        read("group", GROUP, One, Every, First, Unassigning),
        read("group-of-plain", GROUP, One, Group(PLAIN), First, Unassigning),
        read("group-of-named", GROUP, One, Group(BY_POLICY), First, Unassigning),
        read("members", MEMBERS, List, Every, First, Unassigning),
        read("members-later-pages", MEMBERS, List, LaterPages, First, Unassigning),
        read("members-of-plain", MEMBERS, List, Group(PLAIN), First, Unassigning),
        read("members-of-named", MEMBERS, List, Group(BY_POLICY), First, Unassigning),
        read("properties", PROPERTIES, List, Every, First, Emptying),
        read("properties-later-pages", PROPERTIES, List, LaterPages, First, Emptying),
        read("properties-of-plain", PROPERTIES, List, Group(PLAIN), First, Emptying),
        read("other-apps", OTHER_APPS, List, Every, First, Unassigning),
        read("other-apps-of-one", OTHER_APPS, List, Group(BY_APP), First, Unassigning),
        read("parents", PARENTS, List, Every, First, Unassigning),
        read("parents-of-one", PARENTS, List, Group(BY_PARENT), First, Unassigning),
        read("policies", POLICIES, List, Every, First, Unassigning),
        read("activations", ACTIVE, List, Every, First, Unassigning),
        read("eligibilities", ELIGIBLE, List, Every, First, Unassigning),
        read("user", "/v1.0/users/{user-id}", One, Every, Assigning, AwaitingRevocation),
        read("jobs", JOBS, List, Every, First, Retired),
        read("schema", SCHEMA, One, Every, First, AwaitingRevocation),
        read("secrets", SECRETS, List, Every, First, AwaitingRevocation),
        read("log", "/v1.0/auditLogs/provisioning", List, Every, First, AwaitingRevocation),
        read("scim-users", "/scim/v2/Users", List, Every, First, Retired),
        read("scim-users-later-pages", "/scim/v2/Users", List, LaterPages, First, AwaitingRevocation),
        read("scim-groups", "/scim/v2/Groups", List, Every, First, AwaitingRevocation),
        read("scim-user", "/scim/v2/Users/{id}", One, Every, Assigning, AwaitingRevocation),
        read("scim-group", "/scim/v2/Groups/{id}", One, Every, Unassigning, AwaitingRevocation),
        read("scim-config", "/scim/v2/ServiceProviderConfig", One, Every, First, Retired),
    ]
};

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub read: &'static Read,
    pub way: Way,
    pub phase: Phase,
    pub length: Length,
    pub deed: Deed,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.read.name, self.way.name(), self.phase.name(), self.length.name())?;
        if self.deed == Deed::Nothing { Ok(()) } else { write!(f, "/{}", self.deed.name()) }
    }
}

impl Cell {
    /// Whether there is such a thing.
    fn makes_sense(&self) -> bool {
        let read = self.read;
        let can_fail_so = read.shape == Shape::List || !self.way.is_lie();
        // There is no earlier answer before the first one.
        let can_be_then = self.way != Way::Stale || self.phase != Phase::First;
        let is_asked = (read.from..=read.until).contains(&self.phase);
        can_fail_so && can_be_then && is_asked && self.deed_makes_sense()
    }

    /// Told again and again by the only one who could know, an untruth can't be told from the truth.
    pub fn nobody_can_tell(&self) -> bool {
        self.way.is_lie() && self.length == Length::ForGood && self.read.is_only_witness()
    }

    /// A loss shows in what tells of single users, for as long as the target is still to be proven.
    fn deed_makes_sense(&self) -> bool {
        let tells = ["user", "log", "jobs", "scim-users", "scim-users-later-pages", "scim-user"];
        match self.deed {
            Deed::Nothing => true,
            Deed::Loss => {
                tells.contains(&self.read.name)
                    && (Phase::Assigning..=Phase::AwaitingCycle).contains(&self.phase)
                    && self.length != Length::Once
            }
        }
    }
}

/// Every cell that makes sense.
pub fn table() -> Vec<Cell> {
    let mut cells = Vec::new();
    for read in READS {
        for way in Way::ALL {
            for phase in Phase::ALL {
                for length in Length::ALL {
                    for deed in Deed::ALL {
                        cells.push(Cell { read, way: *way, phase: *phase, length: *length, deed: *deed });
                    }
                }
            }
        }
    }
    cells.retain(Cell::makes_sense);
    cells
}

/// The cells of this name; a `*` stands for every part in its place, and in the end of a part for every end.
pub fn named(pattern: &str) -> Vec<Cell> {
    let wanted: Vec<&str> = pattern.split('/').collect();
    let fits = |cell: &Cell| {
        let name = cell.to_string();
        let given: Vec<&str> = name.split('/').collect();
        given.len() == wanted.len()
            && wanted.iter().zip(&given).all(|(wanted, given)| match wanted.strip_suffix('*') {
                Some(start) => given.starts_with(start),
                None => wanted == given,
            })
    };
    table().into_iter().filter(fits).collect()
}

/// Single records are asked for in few turns only: cells of theirs in which that is so.
const RARE: [&str; 2] = ["scim-user/500/awaiting-cycle/turns/loss", "scim-group/500/awaiting-cycle/turns"];

/// Cells in which something went wrong once, one of each kind: they are never left out.
const TOLD: [&str; 14] = [
    "policies/403-html/emptying/once",
    "policies/404-json/canary/turns",
    "policies/empty/emptying/once",
    "other-apps-of-one/empty/canary/once",
    "properties/500/first/once",
    "members/short/first/turns",
    "members-of-named/empty/emptying/for-good",
    "members-of-plain/stale/emptying/once",
    "scim-users/empty/first/once",
    "scim-config/404-json/first/once",
    "scim-config/403-html/first/turns",
    "user/404-json/awaiting-cycle/for-good/loss",
    "assignments/404-json/assigning/turns",
    "jobs/404-json/awaiting-cycle/turns",
];

/// Those, about so many cells from all over the table, and with them every read, way, phase and length.
pub fn sample(about: usize) -> Vec<Cell> {
    let all = table();
    let mut taken: Vec<Cell> = TOLD.into_iter().chain(RARE).flat_map(named).collect();
    // A step that shares no factor with the counts of phases and lengths, or the same few would come again and again.
    let step = (all.len() / about.max(1)).max(1) | 1;
    taken.extend(all.iter().copied().step_by(step));
    let parts = |cell: &Cell| [cell.read.name, cell.way.name(), cell.phase.name(), cell.length.name(), cell.deed.name()];
    for cell in &all {
        let is_new = |(n, part): (usize, &&str)| !taken.iter().any(|other| parts(other)[n] == *part);
        if parts(cell).iter().enumerate().any(is_new) {
            taken.push(*cell);
        }
    }
    taken
}
