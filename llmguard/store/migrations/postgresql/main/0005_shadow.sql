-- Shadows: which challenger runs beside which route, within which budget...
CREATE TABLE shadow_runs (
  id TEXT COLLATE "C" PRIMARY KEY,
  env TEXT COLLATE "C" NOT NULL,
  subject TEXT NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  origin TEXT NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  options TEXT NOT NULL,
  started_at DOUBLE PRECISION NOT NULL,
  stopped_at DOUBLE PRECISION,
  calls BIGINT NOT NULL,
  calls_limit BIGINT,
  cost DOUBLE PRECISION NOT NULL,
  cost_limit DOUBLE PRECISION
);
CREATE INDEX shadow_runs_by_state ON shadow_runs (env, state);

-- ...what it counted, added up over processes...
CREATE TABLE shadow_counts (
  run TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  incumbent TEXT COLLATE "C" NOT NULL,
  stratum TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  n BIGINT NOT NULL,
  total DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (run, function, incumbent, stratum, name)
);

-- ...what each process has compared so far, merged by whoever reads it...
CREATE TABLE shadow_tallies (
  run TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  incumbent TEXT COLLATE "C" NOT NULL,
  process TEXT COLLATE "C" NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run, function, incumbent, process)
);

-- ...and a bounded number of its pairs; `body` holds texts only where asked for.
CREATE TABLE shadow_pairs (
  id TEXT COLLATE "C" PRIMARY KEY,
  run TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  incumbent TEXT COLLATE "C" NOT NULL,
  stratum TEXT COLLATE "C" NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  rung BIGINT NOT NULL,
  direction TEXT COLLATE "C" NOT NULL,
  content BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX shadow_pairs_by_run ON shadow_pairs (run, rung, at);
CREATE INDEX shadow_pairs_by_time ON shadow_pairs (at);
