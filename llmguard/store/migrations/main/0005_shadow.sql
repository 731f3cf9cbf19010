-- Shadows: which challenger runs beside which route, within which budget...
CREATE TABLE shadow_runs (
  id TEXT PRIMARY KEY,
  env TEXT NOT NULL,
  subject TEXT NOT NULL,
  pin TEXT NOT NULL,
  origin TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  options TEXT NOT NULL,
  started_at REAL NOT NULL,
  stopped_at REAL,
  calls INTEGER NOT NULL,
  calls_limit INTEGER,
  cost REAL NOT NULL,
  cost_limit REAL
);
CREATE INDEX shadow_runs_by_state ON shadow_runs (env, state);

-- ...what it counted, added up over processes...
CREATE TABLE shadow_counts (
  run TEXT NOT NULL,
  function TEXT NOT NULL,
  incumbent TEXT NOT NULL,
  stratum TEXT NOT NULL,
  name TEXT NOT NULL,
  n INTEGER NOT NULL,
  total REAL NOT NULL,
  PRIMARY KEY (run, function, incumbent, stratum, name)
);

-- ...what each process has compared so far, merged by whoever reads it...
CREATE TABLE shadow_tallies (
  run TEXT NOT NULL,
  function TEXT NOT NULL,
  incumbent TEXT NOT NULL,
  process TEXT NOT NULL,
  at REAL NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run, function, incumbent, process)
);

-- ...and a bounded number of its pairs; `body` holds texts only where asked for.
CREATE TABLE shadow_pairs (
  id TEXT PRIMARY KEY,
  run TEXT NOT NULL,
  function TEXT NOT NULL,
  incumbent TEXT NOT NULL,
  stratum TEXT NOT NULL,
  at REAL NOT NULL,
  rung INTEGER NOT NULL,
  direction TEXT NOT NULL,
  content INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX shadow_pairs_by_run ON shadow_pairs (run, rung, at);
CREATE INDEX shadow_pairs_by_time ON shadow_pairs (at);
