/* The context of the system's DNS servers: which they are, and that they change. */
#include "base/err.h"
#include "io/dns_context.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#define SERVER_TEXT 64 /* bytes of an address with its port */

static int open_system(struct unbound *all, const struct netaddr *addresses, uint32_t count)
{
	struct context *context;
	int err = context_new(all, SPAN_NONE, &context);

	if (err)
		return err;
	for (uint32_t i = 0; i < count; i++)
		context->addresses[context->address_count++] = addresses[i];
	context->state = CONTEXT_READY;
	/* What is under way is answered by those it was asked of. */
	if (all->system) {
		all->system->stale = true;
		list_push_back(&all->stale, &all->system->node);
		context_touch(all->system);
	}
	all->system = context;
	return 0;
}

static int given_servers(struct span list, struct netaddr to[DNS_SERVERS], uint32_t *count)
{
	struct dns_server servers[DNS_SERVERS];
	int err = dns_servers_parse(list, servers, count);

	for (uint32_t i = 0; err == 0 && i < *count; i++) {
		to[i] = servers[i].address;
		if (to[i].family == NETADDR_NONE)
			err = ERR_SYNTAX; /* whom to ask for it? */
	}
	return err;
}

/* As much of the file as there is room for; none where it cannot be read. */
static struct span read_file(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? 0 : read(fd, to, room);

	if (fd >= 0)
		close(fd);
	return span_of(to, n > 0 ? (size_t)n : 0);
}

static uint32_t resolv_conf_servers(const char *path, struct netaddr to[DNS_SERVERS])
{
	char text[RESOLV_CONF_BYTES];
	uint32_t count =
		dns_resolv_conf_parse(read_file(path ? path : RESOLV_CONF, text, sizeof(text)), to);

	/* resolv.conf(5): without one the machine's own is asked. */
	if (!count && netaddr_parse(SPAN("127.0.0.1"), DNS_PORT, &to[0]) == 0)
		count = 1;
	return count;
}

int system_open(struct unbound *all, const struct dns_unbound_options *options)
{
	struct netaddr addresses[DNS_SERVERS];
	uint32_t count = 0;
	int err = 0;

	all->given = options->servers.n > 0;
	if (all->given)
		err = given_servers(options->servers, addresses, &count);
	else
		count = resolv_conf_servers(options->resolv_conf, addresses);
	return err < 0 ? err : open_system(all, addresses, count);
}

int anchors_open(struct unbound *all, const struct dns_unbound_options *options)
{
	struct dns_anchors *anchors = &all->anchors;
	char text[ROOT_KEY_BYTES];
	int err = dns_anchors_add(anchors, options->anchors, NULL);

	all->own_root = dns_anchors_have_root(anchors);
	if (!err && !all->own_root) {
		err = dns_anchors_add_root(anchors);
		/* What the system keeps may know of a newer key; where it makes no sense, it is not
		 * ours to mend. */
		if (!err)
			(void)dns_anchors_add(
				anchors, read_file(ROOT_KEY, text, sizeof(text)), NULL);
	}
	return err ? err : dns_anchors_add_inside(anchors);
}

int dns_unbound_resolv_conf(struct dns *dns, struct span text)
{
	struct unbound *all = unbound_of(dns);
	struct netaddr addresses[DNS_SERVERS];
	uint32_t count = dns_resolv_conf_parse(text, addresses);
	bool same = count == all->system->address_count;

	for (uint32_t i = 0; same && i < count; i++)
		same = netaddr_same_ip(&addresses[i], &all->system->addresses[i]);
	/* Without a server in it, it is being written at the moment. */
	if (all->given || same || !count)
		return ERR_EXISTS;
	return open_system(all, addresses, count);
}

uint64_t dns_unbound_servers(const struct dns *dns)
{
	const struct context *context = CONTAINER_OF(dns, const struct unbound, base)->system;
	struct buf text;

	buf_init(&text, (size_t)DNS_SERVER_ADDRESSES * SERVER_TEXT);
	for (uint32_t i = 0; i < context->address_count; i++) {
		netaddr_add(&text, &context->addresses[i]);
		buf_add_char(&text, '\n');
	}
	uint64_t hash = XXH3_64bits(text.p, text.n);

	buf_done(&text);
	return hash ? hash : 1;
}
