/*
 * The reference pages, written from the schema: postern.yaml(5) for the start file,
 * postern-objects(5) for the objects. Text is scdoc.
 */
#ifndef DIRECTORY_REFERENCE_H
#define DIRECTORY_REFERENCE_H

#include "base/buf.h"

#define REFERENCE_BYTES (256u << 10)

void reference_config(struct buf *out);
void reference_objects(struct buf *out);

#endif
