-- Who may use the console and the queue's HTTP interface...
CREATE TABLE access_users (
  name TEXT PRIMARY KEY NOT NULL,
  scopes TEXT NOT NULL,
  roles TEXT NOT NULL,
  created_at REAL NOT NULL,
  created_by TEXT NOT NULL,
  disabled_at REAL
);

-- ...their secrets, of which only digests are here...
CREATE TABLE access_tokens (
  id TEXT PRIMARY KEY NOT NULL,
  user_name TEXT NOT NULL,
  digest TEXT NOT NULL UNIQUE,
  scopes TEXT NOT NULL,
  label TEXT NOT NULL,
  created_at REAL NOT NULL,
  created_by TEXT NOT NULL,
  expires_at REAL,
  revoked_at REAL,
  used_at REAL
);
CREATE INDEX access_tokens_by_user ON access_tokens (user_name);

-- ...the browsers that logged in, likewise...
CREATE TABLE access_sessions (
  digest TEXT PRIMARY KEY NOT NULL,
  user_name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  via TEXT NOT NULL,
  token_id TEXT NOT NULL,
  created_at REAL NOT NULL,
  seen_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  ended_at REAL,
  address TEXT NOT NULL
);
CREATE INDEX access_sessions_by_user ON access_sessions (user_name);
CREATE INDEX access_sessions_by_token ON access_sessions (token_id);

-- ...and what was read and done: never changed, deleted only by age.
CREATE TABLE access_audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  detail TEXT NOT NULL,
  address TEXT NOT NULL,
  outcome TEXT NOT NULL
);
CREATE INDEX access_audit_by_time ON access_audit (at);
CREATE INDEX access_audit_by_actor ON access_audit (actor, seq);
CREATE INDEX access_audit_by_target ON access_audit (target, seq);
CREATE TRIGGER access_audit_never_changes BEFORE UPDATE ON access_audit BEGIN
  SELECT RAISE(ABORT, 'the audit is never changed');
END;
