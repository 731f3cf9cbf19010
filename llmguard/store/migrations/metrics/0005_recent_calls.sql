-- A bounded sample of calls: failed and degraded ones first of all.
CREATE TABLE recent_calls (
  id TEXT PRIMARY KEY,
  at REAL NOT NULL,
  env TEXT NOT NULL,
  function TEXT NOT NULL,
  route TEXT NOT NULL,
  pin TEXT NOT NULL,
  answered TEXT NOT NULL,
  tier TEXT NOT NULL,
  outcome TEXT NOT NULL,
  request TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  elapsed REAL NOT NULL,
  content INTEGER NOT NULL
);
CREATE INDEX recent_calls_by_time ON recent_calls (env, at, id);
CREATE INDEX recent_calls_by_age ON recent_calls (at);
CREATE INDEX recent_calls_by_outcome ON recent_calls (outcome, at, id);
CREATE INDEX recent_calls_by_kind ON recent_calls
  (env, function, route, pin, tier, outcome);
CREATE INDEX recent_calls_by_request ON recent_calls (request);

-- What happened in each, apart from what is searched.
CREATE TABLE recent_call_bodies (
  id TEXT PRIMARY KEY,
  at REAL NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX recent_call_bodies_by_age ON recent_call_bodies (at);
