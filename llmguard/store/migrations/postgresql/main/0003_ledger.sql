-- Moves of pins between stages: one chain of hashes for the whole store.
CREATE TABLE ledger (
  rev BIGINT PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  env TEXT COLLATE "C" NOT NULL,
  route TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  action TEXT NOT NULL,
  from_stage TEXT NOT NULL,
  to_stage TEXT NOT NULL,
  weight BIGINT,
  prev_pin TEXT NOT NULL,
  base_rev BIGINT NOT NULL,
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

CREATE FUNCTION ledger_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only';
END;
$$;
CREATE TRIGGER ledger_never_changes BEFORE UPDATE OR DELETE ON ledger
  FOR EACH ROW EXECUTE FUNCTION ledger_kept();
CREATE TRIGGER ledger_never_empties BEFORE TRUNCATE ON ledger
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_kept();

-- What the entries amount to: the newest state of each route...
CREATE TABLE ledger_heads (
  env TEXT COLLATE "C" NOT NULL,
  route TEXT COLLATE "C" NOT NULL,
  rev BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (env, route)
);

-- ...and every 64th, so that a state long ago is a seek and at most 63 steps.
CREATE TABLE ledger_snapshots (
  env TEXT COLLATE "C" NOT NULL,
  route TEXT COLLATE "C" NOT NULL,
  rev BIGINT NOT NULL,
  state TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (env, route, rev)
);
CREATE INDEX ledger_snapshots_by_rev ON ledger_snapshots (rev);
