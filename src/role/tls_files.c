#include "role/tls_files.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "directory/snapshot_memfd.h"
#include "role/tls_set.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(CONFIG_SNI + 1 <= TLS_SERVER_NAMES, "a listener can have all its certificates");

#define PATH_ROOM   4096
#define KEY_HEAD    8 /* bytes beside a key, in the set */
#define PAIRS_MOST  TLS_SET_KEYS
#define STAMPS_MOST (2 * PAIRS_MOST + CONFIG_LISTENERS)
/* Of one who names his own; more are a list of others. */
#define AUTHORITIES_MOST 20

struct reading {
	const struct config *config;
	const struct config_listener *listener;
	struct tls_files *files;
	struct buf keys, certificates;
	uint32_t *number;
	struct buf *problem, *warnings;
	/* Of the listener. */
	struct tls_set_listener set;
	struct buf texts[TLS_SET_CERTIFICATES + 1]; /* chains, and the client CA */
};

bool tls_files_wanted(const struct config *config)
{
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].tls.certificate.n)
			return true;
	return false;
}

/* ---- one file ------------------------------------------------------------------------------- */

static void path_text(struct span path, char out[PATH_ROOM])
{
	snprintf(out, PATH_ROOM, "%.*s", (int)path.n, path.p);
}

static void stamp_of(const struct stat *info, struct tls_stamp *out)
{
	*out = (struct tls_stamp){info->st_dev, info->st_ino, info->st_size, info->st_ctim};
}

static int refuse(struct reading *r, const char *path, const char *what)
{
	buf_printf(r->problem, "listener %.*s, tls: %s: %s", (int)r->listener->name.n,
		r->listener->name.p, path, what);
	return ERR_SYNTAX;
}

static int read_open(struct reading *r, const char *path, int fd, struct buf *text)
{
	struct stat info;

	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return refuse(r, path, "is no file");
	if (info.st_size > (off_t)TLS_PEM_BYTES)
		return refuse(r, path, "is longer than 1M, so it holds something else");
	stamp_of(&info, &r->files->stamps[r->files->stamp_count++]);
	/* One byte more than there should be tells that it grows. */
	char *to = buf_reserve(text, (size_t)info.st_size + 1);
	if (!to)
		return refuse(r, path, "no memory");
	ssize_t n = pread(fd, to, (size_t)info.st_size + 1, 0);
	if (n < 0)
		return refuse(r, path, strerror(errno));
	if (n != info.st_size)
		return refuse(r, path, "changes while it is read");
	buf_wrote(text, (size_t)n);
	return 0;
}

static int read_file(struct reading *r, struct span name, bool is_key, struct buf *text)
{
	char path[PATH_ROOM];
	struct stat info;

	path_text(name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		int err = err_from_errno(errno);
		refuse(r, path,
			err == ERR_DENIED && geteuid() != 0
				? "Permission denied: whoever starts posternd must be able to read "
				  "it; start it as root, or give the file to this user"
				: strerror(errno));
		return err;
	}
	int err = read_open(r, path, fd, text);
	if (err == 0 && is_key && fstat(fd, &info) == 0 && (info.st_mode & S_IROTH))
		buf_printf(r->warnings,
			"listener %.*s, tls: %s: everybody on this machine may read this key: "
			"chmod o-r\n",
			(int)r->listener->name.n, r->listener->name.p, path);
	close(fd);
	return err;
}

/* ---- a certificate with its key ------------------------------------------------------------- */

static int check_pair(struct reading *r, struct span certificate, struct span key,
	struct span chain, struct span pem)
{
	struct tls_expiry *expiry = &r->files->expiries[r->files->expiry_count];
	struct buf why;

	buf_init(&why, 1024);
	int err = tls_check_pair(chain, pem, &expiry->ms, &why);
	if (err)
		buf_printf(r->problem, "listener %.*s, tls: %.*s with %.*s: %.*s",
			(int)r->listener->name.n, r->listener->name.p, (int)certificate.n,
			certificate.p, (int)key.n, key.p, (int)why.n, why.p ? why.p : "");
	else
		r->files->expiry_count++;
	expiry->file = certificate;
	buf_done(&why);
	return err;
}

static void check_name(struct reading *r, struct span name, struct span file, struct span chain)
{
	/* A pattern stands for names that nobody has told us. */
	if (!name.n || name.p[0] == '*' || tls_chain_has_name(chain, name))
		return;
	buf_printf(r->warnings, "listener %.*s, tls: %.*s is no certificate for %.*s\n",
		(int)r->listener->name.n, r->listener->name.p, (int)file.n, file.p, (int)name.n,
		name.p);
}

static void wipe(struct buf *buf)
{
	if (buf->p)
		OPENSSL_cleanse(buf->p, buf->room);
	buf_done(buf);
}

/* A buffer that grows by itself leaves behind what was in it. */
static void add_key(struct reading *r, struct span pem)
{
	size_t more = r->keys.n + pem.n + KEY_HEAD;
	struct buf bigger;

	if (more > r->keys.room) {
		buf_init(&bigger, TLS_SET_BYTES);
		(void)buf_reserve(&bigger, MIN(2 * more, (size_t)TLS_SET_BYTES));
		buf_add_span(&bigger, buf_span(&r->keys));
		wipe(&r->keys);
		r->keys = bigger;
	}
	tls_set_put_key(&r->keys, (*r->number)++, pem);
}

static int read_pair(struct reading *r, struct span name, struct span certificate, struct span key)
{
	struct buf *chain = &r->texts[r->set.count], pem;

	buf_init(&pem, TLS_PEM_BYTES + 1);
	int err = read_file(r, certificate, false, chain);
	if (err == 0)
		err = read_file(r, key, true, &pem);
	if (err == 0)
		err = check_pair(r, certificate, key, buf_span(chain), buf_span(&pem));
	if (err == 0) {
		check_name(r, name, certificate, buf_span(chain));
		r->set.certificates[r->set.count++] = (struct tls_certificate){
			.name = name, .chain = buf_span(chain), .key_number = *r->number};
		add_key(r, buf_span(&pem));
	}
	wipe(&pem);
	return err;
}

static int read_client_ca(struct reading *r, struct span file)
{
	struct buf *text = &r->texts[TLS_SET_CERTIFICATES], why;
	size_t count;

	if (!file.n)
		return 0;
	int err = read_file(r, file, false, text);
	if (err)
		return err;
	buf_init(&why, 1024);
	err = tls_check_ca(buf_span(text), &count, &why);
	if (err)
		buf_printf(r->problem, "listener %.*s, tls, client-ca: %.*s: %.*s",
			(int)r->listener->name.n, r->listener->name.p, (int)file.n, file.p,
			(int)why.n, why.p ? why.p : "");
	buf_done(&why);
	if (err == 0 && count > AUTHORITIES_MOST)
		buf_printf(r->warnings,
			"listener %.*s, tls, client-ca: %.*s holds %zu authorities, as a list of "
			"public ones does: whoever gets a certificate from one of them may relay, "
			"unless the relay policy lists certificates; name your own authority\n",
			(int)r->listener->name.n, r->listener->name.p, (int)file.n, file.p, count);
	r->set.client_ca = buf_span(text);
	return err;
}

/* ---- all ------------------------------------------------------------------------------------ */

static int read_listener(struct reading *r, uint32_t place)
{
	const struct config_tls *tls = &r->config->listeners[place].tls;

	if (!tls->certificate.n)
		return 0;
	r->listener = &r->config->listeners[place];
	r->set.place = (uint16_t)place;
	r->set.count = 0;
	r->set.client_ca = SPAN_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(r->texts); i++)
		buf_init(&r->texts[i], TLS_PEM_BYTES + 1);
	/* The order in which tls_files_changed() goes. */
	int err = read_pair(r, SPAN_NONE, tls->certificate, tls->key);
	for (uint32_t i = 0; i < tls->name_count && err == 0; i++)
		err = read_pair(
			r, tls->names[i].name, tls->names[i].certificate, tls->names[i].key);
	if (err == 0)
		err = read_client_ca(r, tls->client_ca);
	if (err == 0)
		tls_set_put_listener(&r->certificates, &r->set);
	for (size_t i = 0; i < ARRAY_SIZE(r->texts); i++)
		buf_done(&r->texts[i]);
	return err;
}

static int read_all(struct reading *r)
{
	struct tls_files *files = r->files;
	int err = 0;

	files->stamps = calloc(STAMPS_MOST, sizeof(*files->stamps));
	files->expiries = calloc(PAIRS_MOST, sizeof(*files->expiries));
	if (!files->stamps || !files->expiries)
		err = ERR_NOMEM;
	for (uint32_t i = 0; i < r->config->listener_count && err == 0; i++)
		err = read_listener(r, i);
	if (err == 0 && (!buf_ok(&r->keys) || !buf_ok(&r->certificates)))
		err = ERR_LIMIT;
	if (err == 0 && r->keys.n)
		err = memfd_make("postern-keys", buf_span(&r->keys), &files->keys);
	if (err == 0 && r->certificates.n)
		err = memfd_make(
			"postern-certificates", buf_span(&r->certificates), &files->certificates);
	if (err && !r->problem->n)
		buf_printf(r->problem, "certificates and keys: %s", err_text(err));
	return err;
}

int tls_files_read(const struct config *config, uint32_t *number, struct tls_files *out,
	struct buf *problem, struct buf *warnings)
{
	struct tls_files files = TLS_FILES_NONE;
	struct reading *r = calloc(1, sizeof(*r));

	if (!r)
		return ERR_NOMEM;
	r->config = config;
	r->files = &files;
	r->number = number;
	r->problem = problem;
	r->warnings = warnings;
	buf_init(&r->keys, TLS_SET_BYTES);
	buf_init(&r->certificates, TLS_SET_BYTES);
	int err = read_all(r);
	wipe(&r->keys);
	buf_done(&r->certificates);
	free(r);
	if (err)
		tls_files_done(&files);
	else
		*out = files;
	return err;
}

void tls_files_done(struct tls_files *files)
{
	if (files->keys >= 0)
		close(files->keys);
	if (files->certificates >= 0)
		close(files->certificates);
	free(files->stamps);
	free(files->expiries);
	*files = TLS_FILES_NONE;
}

/* ---- later ---------------------------------------------------------------------------------- */

static void look_at(struct span file, struct tls_stamp **to)
{
	char path[PATH_ROOM];
	struct stat info;

	path_text(file, path);
	*(*to) = (struct tls_stamp){0};
	if (stat(path, &info) == 0)
		stamp_of(&info, *to);
	++*to;
}

bool tls_files_changed(
	const struct config *config, const struct tls_files *files, struct tls_stamp *looked)
{
	struct tls_stamp *to = looked;

	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_tls *tls = &config->listeners[i].tls;
		if (!tls->certificate.n)
			continue;
		look_at(tls->certificate, &to);
		look_at(tls->key, &to);
		for (uint32_t n = 0; n < tls->name_count; n++) {
			look_at(tls->names[n].certificate, &to);
			look_at(tls->names[n].key, &to);
		}
		if (tls->client_ca.n)
			look_at(tls->client_ca, &to);
	}
	return memcmp(looked, files->stamps, files->stamp_count * sizeof(*looked)) != 0;
}

/* It may be that of several listeners. */
static bool is_told(const struct tls_files *files, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (span_equal(files->expiries[i].file, files->expiries[at].file))
			return true;
	return false;
}

void tls_files_expiries(const struct tls_files *files, int64_t now_ms, struct buf *lines)
{
	for (size_t i = 0; i < files->expiry_count; i++) {
		const struct tls_expiry *e = &files->expiries[i];
		if (e->ms - now_ms >= TLS_EXPIRY_WARN_MS || is_told(files, i))
			continue;
		buf_printf(lines, "%.*s: the certificate %s ", (int)e->file.n, e->file.p,
			e->ms <= now_ms ? "has ended, on" : "ends soon, on");
		text_add_time(lines, e->ms);
		buf_add_char(lines, '\n');
	}
}
