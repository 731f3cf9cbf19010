-- The narrow, often written half of a ticket.
CREATE TABLE tickets (
  id TEXT PRIMARY KEY,
  queue TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'claimed', 'answered', 'delivered',
                                       'rejected', 'expired', 'cancelled', 'dead')),
  role TEXT NOT NULL DEFAULT '',
  priority INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  due_at REAL,
  expires_at REAL,
  fingerprint TEXT NOT NULL,
  waiters INTEGER NOT NULL DEFAULT 1,
  claims INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  first_claimed_at REAL,
  claimed_by TEXT NOT NULL DEFAULT '',
  lease_token TEXT NOT NULL DEFAULT '',
  lease_until REAL,
  answer TEXT,
  closed_by TEXT NOT NULL DEFAULT '',
  closed_at REAL,
  note TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- The wide half, written once.
CREATE TABLE ticket_bodies (
  ticket_id TEXT PRIMARY KEY REFERENCES tickets (id) ON DELETE CASCADE,
  function TEXT NOT NULL,
  call_id TEXT NOT NULL,
  contract TEXT NOT NULL,
  schema_digest TEXT NOT NULL,
  schema TEXT NOT NULL,
  pin TEXT NOT NULL,
  title TEXT NOT NULL,
  instructions TEXT NOT NULL,
  inputs TEXT NOT NULL,
  reasons TEXT NOT NULL,
  outputs TEXT NOT NULL,
  labels TEXT NOT NULL
);

-- Several callers may wait for one ticket, each under a key of its own.
CREATE TABLE ticket_keys (
  queue TEXT NOT NULL,
  key TEXT NOT NULL,
  ticket_id TEXT NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
  at REAL NOT NULL,
  PRIMARY KEY (queue, key)
) WITHOUT ROWID;

CREATE TABLE ticket_events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  ticket_id TEXT NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
  at REAL NOT NULL,
  event TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT ''
);

-- Which queues and roles have work, and how much, without counting.
CREATE TABLE ticket_counts (
  queue TEXT NOT NULL,
  role TEXT NOT NULL,
  state TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (queue, role, state)
) WITHOUT ROWID;

CREATE INDEX tickets_next ON tickets
  (queue, role, priority DESC, coalesce(due_at, 1e300), id) WHERE state = 'open';
CREATE INDEX tickets_leases ON tickets (lease_until) WHERE state = 'claimed';
CREATE INDEX tickets_expiry ON tickets (expires_at)
  WHERE state = 'open' AND expires_at IS NOT NULL;
CREATE INDEX tickets_twins ON tickets (queue, fingerprint)
  WHERE state IN ('open', 'claimed');
CREATE INDEX tickets_closed ON tickets (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX ticket_keys_ticket ON ticket_keys (ticket_id);
CREATE INDEX ticket_keys_key ON ticket_keys (key);
CREATE INDEX ticket_events_ticket ON ticket_events (ticket_id, seq);

-- Counting 200,000 tickets takes 0.2 s; counts that are kept take nothing to read.
CREATE TRIGGER tickets_count_insert AFTER INSERT ON tickets BEGIN
  INSERT INTO ticket_counts VALUES (new.queue, new.role, new.state, 1)
    ON CONFLICT (queue, role, state) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER tickets_count_update AFTER UPDATE OF state ON tickets
WHEN old.state <> new.state BEGIN
  UPDATE ticket_counts SET n = n - 1
    WHERE queue = old.queue AND role = old.role AND state = old.state;
  INSERT INTO ticket_counts VALUES (new.queue, new.role, new.state, 1)
    ON CONFLICT (queue, role, state) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER tickets_count_delete AFTER DELETE ON tickets BEGIN
  UPDATE ticket_counts SET n = n - 1
    WHERE queue = old.queue AND role = old.role AND state = old.state;
END;

CREATE TABLE breakers (
  key TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  since REAL NOT NULL,
  until REAL,
  rev INTEGER NOT NULL,
  actor TEXT NOT NULL
) WITHOUT ROWID;

-- One number per topic that grows with every change: cheap to poll.
CREATE TABLE revisions (
  topic TEXT PRIMARY KEY,
  rev INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO revisions VALUES ('breakers', 0);
