package failpoint

// Scene is what must happen for a point to be reached.
type Scene string

// The scenes that a campaign sets.
const (
	Load      Scene = "load"      // Events are committed and delivered, subscriptions are changed.
	Restart   Scene = "restart"   // The relay starts and finds WAL that an earlier one did not confirm.
	NoSlot    Scene = "no slot"   // The relay starts and its slot is gone.
	Unused    Scene = "unused"    // The relay starts and slot and publication are gone.
	Hanging   Scene = "hanging"   // A receiver takes requests and does not answer.
	Stop      Scene = "stop"      // The relay is told to stop, under load.
	Retention Scene = "retention" // Events are older than the retention.
)

// Point is a moment between two steps.
type Point struct {
	Name  string
	Scene Scene
	What  string // What has been done by then, and what has not.
}

// Points are all of them, in the order of an event's way.
var Points = []Point{
	{"setup/after-publication", Unused, "the publication was made, the slot was not"},
	{"slot/after-forget", NoSlot, "the slot's state was forgotten, the slot itself is neither dropped nor made"},
	{"slot/after-create", NoSlot, "the slot was made, the outbox was not scanned"},
	{"scan/before-commit", NoSlot, "the scan wrote its deliveries and the slot's state, and did not commit"},
	{"slot/after-scan", NoSlot, "the scan was committed, the stream was not begun"},
	{"stream/after-start", Load, "the stream was begun, nobody knows yet how far it may repeat"},

	{"tailer/after-begin", Load, "a transaction's begin was read, none of its rows"},
	{"tailer/after-row", Load, "a row was routed, its transaction's commit was not read"},
	{"tailer/after-commit", Load, "a transaction's commit was read"},
	{"router/before-lookup", Restart, "WAL that is read again was gathered, and not looked up"},
	{"router/after-lookup", Restart, "what is read again was looked up, and not sent on"},
	{"router/after-change", Load, "a subscription's change was applied, and not marked as read"},

	{"sender/before-send", Load, "a delivery has its place in a lane, nothing was sent"},
	{"sender/after-answer", Load, "the answer has come, and is not handed to the recorder"},
	{"spill/before-record", Hanging, "a delivery hangs for half a second, and is not written down as pending"},
	{"spill/after-record", Hanging, "a delivery that hangs was written down as pending, and is in flight"},

	{"recorder/before-write", Load, "outcomes are gathered in a batch that is not written"},
	{"recorder/after-fresh", Load, "the batch's new deliveries are committed, those that the database had already are not"},
	{"recorder/after-rows", Load, "the batch's rows are committed, the changes that were read are not marked"},
	{"recorder/after-marks", Load, "the changes that were read are marked, their transactions do not count as settled"},
	{"recorder/before-sweep", Load, "a subscription was switched off, what waits for it is not cancelled"},
	{"recorder/after-sweep", Load, "what waited for a subscription is cancelled, its change is not marked as read"},
	{"recorder/after-commit", Load, "all of the batch stands in the database, and nobody was told"},

	{"position/before-persist", Load, "a position may be confirmed, and is not written down"},
	{"position/after-persist", Load, "a position is written down, the server was not told"},
	{"tailer/after-confirm", Load, "the server was told a position"},

	{"claimer/after-cancel", Hanging, "due deliveries of subscriptions that are gone were cancelled, none is claimed"},
	{"claimer/after-claim", Hanging, "due deliveries are leased, their payloads are not fetched"},
	{"claimer/before-send", Hanging, "a due delivery was fetched under its lease, and has no place in a lane"},

	{"stop/after-intake", Stop, "nothing is read or claimed any more, requests are in flight"},
	{"stop/before-finish", Stop, "all is recorded and the position is written down, the server was not told"},
	{"stop/after-finish", Stop, "the server was told the last position, nobody how far the stream was read"},
	{"stop/after-read", Stop, "all is left in order, the relay still runs"},

	{"retention/after-events", Retention, "old events are removed, their deliveries are not"},
	{"retention/after-batch", Retention, "one batch of old deliveries is removed"},
}
