-- Moves of pins between stages: one chain of hashes for the whole store.
CREATE TABLE ledger (
  rev INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  env TEXT NOT NULL,
  route TEXT NOT NULL,
  pin TEXT NOT NULL,
  action TEXT NOT NULL,
  from_stage TEXT NOT NULL,
  to_stage TEXT NOT NULL,
  weight INTEGER,
  prev_pin TEXT NOT NULL,
  base_rev INTEGER NOT NULL,
  lock_digest TEXT NOT NULL,
  evidence TEXT NOT NULL,
  approvals TEXT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL
);

CREATE INDEX ledger_by_route ON ledger (env, route);
CREATE INDEX ledger_by_time ON ledger (at);

CREATE TRIGGER ledger_never_changes BEFORE UPDATE ON ledger BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;
CREATE TRIGGER ledger_never_shrinks BEFORE DELETE ON ledger BEGIN
  SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- What the entries amount to: the newest state of each route...
CREATE TABLE ledger_heads (
  env TEXT NOT NULL,
  route TEXT NOT NULL,
  rev INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (env, route)
) WITHOUT ROWID;

-- ...and every 64th, so that a state long ago is a seek and at most 63 steps.
CREATE TABLE ledger_snapshots (
  env TEXT NOT NULL,
  route TEXT NOT NULL,
  rev INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (env, route, rev)
) WITHOUT ROWID;
CREATE INDEX ledger_snapshots_by_rev ON ledger_snapshots (rev);
