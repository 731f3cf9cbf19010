-- What happened to models, in order: never changed, never deleted.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  env TEXT NOT NULL,
  route TEXT NOT NULL,
  pin TEXT NOT NULL,
  kind TEXT NOT NULL,
  process TEXT NOT NULL,
  detail TEXT NOT NULL,
  -- Several processes notice the same thing: the first one's row is kept.
  once TEXT UNIQUE
);

CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_kind ON events (kind, at);
CREATE INDEX events_by_route ON events (env, route, at);

CREATE TRIGGER events_never_change BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are append-only');
END;
CREATE TRIGGER events_never_shrink BEFORE DELETE ON events BEGIN
  SELECT RAISE(ABORT, 'events are append-only');
END;

-- Declared experiments: a change is a new row with the next version.
CREATE TABLE experiments (
  rev INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  env TEXT NOT NULL,
  route TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  running INTEGER NOT NULL,
  salt TEXT NOT NULL,
  arms TEXT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  UNIQUE (env, name, version)
);

CREATE TRIGGER experiments_never_change BEFORE UPDATE ON experiments BEGIN
  SELECT RAISE(ABORT, 'experiments are append-only');
END;
CREATE TRIGGER experiments_never_shrink BEFORE DELETE ON experiments BEGIN
  SELECT RAISE(ABORT, 'experiments are append-only');
END;
