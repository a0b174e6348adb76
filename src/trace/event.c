#include "trace/event.h"

#include "base/check.h"

static const char *const names[] = {
	[EVENT_RECEPTION] = "Reception",
	[EVENT_REJECTION] = "Rejection",
	[EVENT_DELIVERY] = "Delivery",
	[EVENT_TRANSIENT_FAILURE] = "TransientFailure",
	[EVENT_BOUNCE] = "Bounce",
	[EVENT_EXPIRATION] = "Expiration",
	[EVENT_DISCARD] = "Discard",
	[EVENT_DELAY] = "Delay",
	[EVENT_RELAYED] = "Relayed",
	[EVENT_ADMIN_ACTION] = "AdminAction",
	[EVENT_DAMAGE] = "Damage",
};

const char *event_name(enum event_kind kind)
{
	CHECK((unsigned)kind < EVENT_KINDS);
	return names[kind];
}
