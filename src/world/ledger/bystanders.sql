-- Records at the target of people who are not protected, as they were before something was first taken away.
CREATE TABLE bystanders (
  id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
