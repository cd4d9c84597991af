/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What user space and this module say to each other over the two nodes behind a virtual camera.
 *
 *   feed node (metadata output)       a buffer is one frame of the sensor:
 *
 *       0   struct feed_header
 *      32   metadata_len bytes        two embedded lines and the DNN lines
 *       .   picture_len bytes         RAW10, the mode's lines back to back; 0: a picture is made up
 *
 *   injected node (metadata capture)  a buffer is one input tensor that somebody has injected:
 *
 *       0   struct injected_header
 *      16   len bytes
 *
 * All numbers are little-endian. src/source/imx500/feed.rs has the same layout.
 */
#ifndef VIRTUAL_IMX500_FEED_H
#define VIRTUAL_IMX500_FEED_H

#include <linux/types.h>

#define FEED_MAGIC 0x44454546 /* "FEED" */

struct feed_header {
	__le32 magic;
	/* Frames before this one that never reach the host: its sequence number jumps. */
	__le32 lost;
	/* Frame intervals of silence before this one. */
	__le32 silent;
	__le32 flags;
	/* The sensor's own counter of this frame. */
	__le32 frame_count;
	__le32 metadata_len;
	__le32 picture_len;
	__le32 reserved;
};

/* The receiver marks the buffer as damaged. */
#define FEED_DAMAGED 0x1
/* The receiver says how many bytes came; without this it says that the buffer is full, as rp1-cfe does. */
#define FEED_SHORT 0x2
/* The receiver captures no picture of this frame. */
#define FEED_NO_PICTURE 0x4
/* The receiver ends the stream instead of sending this frame. */
#define FEED_END 0x8

#define INJECTED_MAGIC 0x4a4e4943 /* "CINJ" */

struct injected_header {
	__le32 magic;
	/* Counter of the frame that is to carry the output. */
	__le32 frame_count;
	__le32 len;
	__le32 reserved;
};

#endif
