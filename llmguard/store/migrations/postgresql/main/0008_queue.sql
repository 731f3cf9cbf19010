-- Who should take a ticket, how many have to agree, and who is told in the end.
ALTER TABLE tickets ADD COLUMN assignee TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tickets ADD COLUMN reviewers BIGINT NOT NULL DEFAULT 1;
ALTER TABLE tickets ADD COLUMN opinions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tickets ADD COLUMN adjudicating BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tickets ADD COLUMN callbacks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tickets ADD COLUMN purged_at DOUBLE PRECISION;
ALTER TABLE ticket_bodies ADD COLUMN agreement TEXT NOT NULL DEFAULT '{}';
ALTER TABLE ticket_bodies ADD COLUMN expiry TEXT NOT NULL DEFAULT '{}';
ALTER TABLE ticket_bodies ADD COLUMN redacted BIGINT NOT NULL DEFAULT 0;

-- Independent answers to a ticket that several people review.
CREATE TABLE ticket_opinions (
  ticket_id TEXT COLLATE "C" NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
  reviewer TEXT COLLATE "C" NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  token TEXT NOT NULL,
  answer TEXT NOT NULL,
  PRIMARY KEY (ticket_id, reviewer)
);

-- Who passed a ticket over; it comes back to them last.
CREATE TABLE ticket_skips (
  ticket_id TEXT COLLATE "C" NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
  reviewer TEXT COLLATE "C" NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (ticket_id, reviewer)
);

-- Who is told when a ticket is closed, and how far that got.
CREATE TABLE ticket_callbacks (
  id TEXT COLLATE "C" PRIMARY KEY,
  ticket_id TEXT COLLATE "C" NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
  queue TEXT COLLATE "C" NOT NULL,
  url TEXT NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'due', 'sent', 'dead')),
  attempts BIGINT NOT NULL DEFAULT 0,
  next_at DOUBLE PRECISION NOT NULL DEFAULT 0,
  lease_token TEXT NOT NULL DEFAULT '',
  result TEXT NOT NULL DEFAULT ''
);

-- Whether what a tier proposed was what people then answered.
CREATE TABLE ticket_labels (
  ticket_id TEXT COLLATE "C" NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
  place BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  tier TEXT COLLATE "C" NOT NULL,
  kind TEXT NOT NULL,
  confidence DOUBLE PRECISION,
  agrees BIGINT NOT NULL,
  differs TEXT NOT NULL,
  PRIMARY KEY (ticket_id, place)
);

-- Answers that may become cases of a contract suite.
CREATE TABLE ticket_cases (
  ticket_id TEXT COLLATE "C" PRIMARY KEY REFERENCES tickets (id) ON DELETE CASCADE,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('proposed', 'accepted', 'dismissed')),
  at DOUBLE PRECISION NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  decided_at DOUBLE PRECISION,
  decided_by TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  body TEXT NOT NULL DEFAULT ''
);

CREATE INDEX tickets_assigned ON tickets (assignee, queue)
  WHERE state IN ('open', 'claimed') AND assignee <> '';
CREATE INDEX tickets_oldest ON tickets (queue, created_at)
  WHERE state IN ('open', 'claimed');
CREATE INDEX tickets_due ON tickets (queue, due_at, state)
  WHERE state IN ('open', 'claimed') AND due_at IS NOT NULL;
CREATE INDEX tickets_ended ON tickets (state, queue, closed_at)
  WHERE closed_at IS NOT NULL;
CREATE INDEX tickets_kept ON tickets (closed_at)
  WHERE closed_at IS NOT NULL AND purged_at IS NULL;
CREATE INDEX ticket_skips_reviewer ON ticket_skips (reviewer);
CREATE INDEX ticket_callbacks_due ON ticket_callbacks (next_at) WHERE state = 'due';
CREATE INDEX ticket_callbacks_stuck ON ticket_callbacks (queue, state)
  WHERE state IN ('due', 'dead');
CREATE INDEX ticket_callbacks_ticket ON ticket_callbacks (ticket_id);
CREATE INDEX ticket_labels_function ON ticket_labels (function, at);
CREATE INDEX ticket_cases_state ON ticket_cases (state, at);

-- A ticket that is handed to another role is counted there.
CREATE TRIGGER tickets_count_role AFTER UPDATE OF role ON tickets
  FOR EACH ROW WHEN (old.role <> new.role AND old.state = new.state)
  EXECUTE FUNCTION tickets_counted();
