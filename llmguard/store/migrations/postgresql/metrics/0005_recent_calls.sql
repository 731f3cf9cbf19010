-- A bounded sample of calls: failed and degraded ones first of all.
CREATE TABLE recent_calls (
  id TEXT COLLATE "C" PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  env TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  route TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  answered TEXT COLLATE "C" NOT NULL,
  tier TEXT COLLATE "C" NOT NULL,
  outcome TEXT COLLATE "C" NOT NULL,
  request TEXT COLLATE "C" NOT NULL,
  attempts BIGINT NOT NULL,
  elapsed DOUBLE PRECISION NOT NULL,
  content BIGINT NOT NULL
);
CREATE INDEX recent_calls_by_time ON recent_calls (env, at, id);
CREATE INDEX recent_calls_by_age ON recent_calls (at);
CREATE INDEX recent_calls_by_outcome ON recent_calls (outcome, at, id);
CREATE INDEX recent_calls_by_kind ON recent_calls
  (env, function, route, pin, tier, outcome);
CREATE INDEX recent_calls_by_request ON recent_calls (request);

-- What happened in each, apart from what is searched.
CREATE TABLE recent_call_bodies (
  id TEXT COLLATE "C" PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX recent_call_bodies_by_age ON recent_call_bodies (at);
