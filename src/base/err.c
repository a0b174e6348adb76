#include "base/err.h"

#include <errno.h>

const char *err_text(int err)
{
	switch ((enum err)err) {
	case ERR_OK: return "no error";
	case ERR_NOMEM: return "out of memory";
	case ERR_SYNTAX: return "bad syntax";
	case ERR_LIMIT: return "limit reached";
	case ERR_IO: return "input/output error";
	case ERR_NO_SPACE: return "no space left";
	case ERR_NOT_FOUND: return "not found";
	case ERR_EXISTS: return "already exists";
	case ERR_AGAIN: return "not ready";
	case ERR_CLOSED: return "connection closed";
	case ERR_TIMEOUT: return "timed out";
	case ERR_CORRUPT: return "damaged data";
	case ERR_DENIED: return "permission denied";
	case ERR_UNSUPPORTED: return "not supported";
	case ERR_REFUSED: return "connection refused";
	case ERR_UNREACHABLE: return "host or network unreachable";
	case ERR_BUSY: return "in use";
	case ERR_CANCELED: return "canceled";
	case ERR_MORE: return "incomplete";
	}
	return "unknown error";
}

int err_from_errno(int system_errno)
{
	switch (system_errno) {
	case 0: return ERR_OK;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case ENOBUFS: return ERR_NOMEM;
	case ENOSPC:
	case EDQUOT: return ERR_NO_SPACE;
	case ENOENT:
	case ENOTDIR: return ERR_NOT_FOUND;
	case EEXIST: return ERR_EXISTS;
	case EAGAIN:
	case EINTR: return ERR_AGAIN;
	case EPIPE:
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
	case ESHUTDOWN: return ERR_CLOSED;
	case ETIMEDOUT: return ERR_TIMEOUT;
	case EACCES:
	case EPERM:
	case EROFS: return ERR_DENIED;
	case ENOSYS:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT: return ERR_UNSUPPORTED;
	case ECONNREFUSED: return ERR_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case EADDRNOTAVAIL: return ERR_UNREACHABLE;
	case EBUSY:
	case EADDRINUSE:
	case ETXTBSY: return ERR_BUSY;
	case ECANCELED: return ERR_CANCELED;
	case EFBIG:
	case E2BIG:
	case EMSGSIZE:
	case ENAMETOOLONG: return ERR_LIMIT;
	default: return ERR_IO;
	}
}
