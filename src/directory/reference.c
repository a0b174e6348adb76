#include "directory/reference.h"

#include "directory/config.h"
#include "directory/objects.h"
#include "directory/schema.h"

static const char config_head[] =
	"postern.yaml(5)\n\n"
	"# NAME\n\n"
	"postern.yaml - the start file of the Postern email gateway\n\n"
	"# DESCRIPTION\n\n"
	"What is fixed while *posternd*(8) runs. *posternctl*(8) reads it too, to find the control "
	"socket. "
	"It is YAML without anchors, aliases and tags. A field that is unknown, doubled or out of "
	"bounds is "
	"refused with file, line and column. Relative paths begin at the folder of the file. Sizes "
	"take "
	"K, M, G and T (powers of 1024), times ms, s, m, h, d and w, also in sums such as "
	"1h30m.\n\n"
	"What changes while the server runs is in the directory: see *postern-objects*(5).\n\n"
	"# EXAMPLE\n\n"
	"```\n"
	"hostname: gw.example.test\n"
	"spool: /var/lib/postern/spool\n"
	"directory: /var/lib/postern/directory.db\n"
	"control: /run/postern/control.sock\n"
	"workers: 2\n"
	"listeners:\n"
	"  mx: { address: \"0.0.0.0:25\", tls: { certificate: gw.crt, key: gw.key } }\n"
	"  submission: { address: \"0.0.0.0:465\", tls: { certificate: gw.crt, key: gw.key } }\n"
	"limits: { message-size: 50M, hops: 50 }\n"
	"```\n\n"
	"# FIELDS\n\n";

static const char config_tail[] =
	"# SEE ALSO\n\n*posternd*(8), *posternctl*(8), *postern-objects*(5)\n";

static const char objects_head[] =
	"postern-objects(5)\n\n"
	"# NAME\n\n"
	"postern-objects - transports, domains, accounts, relay policies and settings of "
	"Postern\n\n"
	"# DESCRIPTION\n\n"
	"What *posternctl apply -f* reads and *posternctl export* writes: YAML without anchors, "
	"aliases and "
	"tags. An object in the file is created or replaced whole; one that is not in the file "
	"stays, unless "
	"*--prune* is given. The file is applied as a whole or not at all. The same fields are "
	"given to "
	"*posternctl transport set* and its like as field=value; field= gives a field its "
	"default. A list is written in brackets, or as one text with commas between; a field of a "
	"group is group.field on the command line.\n\n"
	"Secrets (sasl.secret of a transport, verifiers of an account) are kept apart: nothing "
	"shows them, *posternctl export* leaves them out unless told, and a file without them "
	"leaves those that are there. On a command line they are refused.\n\n"
	"# EXAMPLE\n\n"
	"```\n"
	"transports:\n"
	"  site-a:   { server: \"127.0.0.1:2626\", retry-delay: \"60,120,180\", retry-count: 30, "
	"give-up: dsn }\n"
	"  site-b:   { server: \"mx.b.example:25\", tls: verify, sasl: { user: gw, secret: "
	"s3cret } }\n"
	"  outbound: { server: lookup-mx }\n"
	"domains:\n"
	"  a.example: { transport: site-a }\n"
	"  c.example: { mailboxes: true }\n"
	"  d.example: { alias-of: c.example }\n"
	"accounts:\n"
	"  ann@c.example: { send-as: [ sales@c.example ] }\n"
	"aliases:\n"
	"  info@c.example: [ ann@c.example, boss@elsewhere.example ]\n"
	"relay:\n"
	"  mx: { policy: addresses, from: [ 192.0.2.0/24 ] }\n"
	"accept: { users: [ boss@elsewhere.example ] }\n"
	"priorities:\n"
	"  - { sender: \"ann@c.example\" }\n"
	"default-transport: outbound\n"
	"postmaster: ann@c.example\n"
	"```\n\n"
	"# OBJECTS\n\n";

static const char objects_tail[] =
	"# SEE ALSO\n\n*posternctl*(8), *posternd*(8), *postern.yaml*(5)\n";

void reference_config(struct buf *out)
{
	buf_add_str(out, config_head);
	schema_add_reference(out, config_schema());
	buf_add_str(out, config_tail);
}

void reference_objects(struct buf *out)
{
	buf_add_str(out, objects_head);
	for (int kind = 0; kind <= OBJECT_SETTINGS; kind++)
		schema_add_reference(out, object_schema((enum object_kind)kind));
	buf_add_str(out, objects_tail);
}
