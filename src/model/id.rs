//! Identifiers: no bare string travels, and no id of one kind can stand for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! guid {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    )+};
}

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )+};
}

guid! {
    /// Directory (tenant) id.
    TenantId,
    /// Object id of an enterprise application, not its `appId`.
    ServicePrincipalId,
    /// Object id of a user.
    UserId,
    /// Object id of a group.
    GroupId,
    /// Id of an app role; all zeros is "Default Access".
    AppRoleId,
}

opaque! {
    /// Graph's opaque id of one `appRoleAssignment` row.
    AssignmentId,
    /// Id of a synchronization job, `<template>.<tenant>.<guid>`.
    JobId,
    /// Id that the SCIM service gave to a user or a group; compared exactly (RFC 7643 section 3.1).
    ScimId,
}
