/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtual IMX500: a sensor and a receiver as on a Raspberry Pi, of which only the silicon is missing.
 * A process plays the silicon through the feed node.
 *
 *   sensor.c     the sub-device "imx500 10-001a": controls, formats, modes
 *   network.c    the network's file: blocks, archive, registers
 *   upload.c     what happens at stream-on: three stages, progress in debugfs, failures on demand
 *   receiver.c   the media device: csi2, pisp-fe and links of rp1-cfe, or unicam; starts and stops
 *   node.c       the video nodes
 *   silicon.c    frames at the sensor's pace, from the feed node to the receiver's nodes
 *
 * Memory of a camera is freed when the module goes, not when a device is unbound: whoever still holds a
 * node open must find it there. Nothing here is taken from a driver's source; the behaviour follows
 * drivers/media/i2c/imx500.c (7a8b5ff), rp1_cfe/cfe.c (01e3122) and bcm2835-unicam.c (6780c94).
 */
#ifndef VIRTUAL_IMX500_H
#define VIRTUAL_IMX500_H

#include <linux/debugfs.h>
#include <linux/firmware.h>
#include <linux/i2c.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <media/media-device.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-dev.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fh.h>
#include <media/v4l2-ioctl.h>
#include <media/v4l2-subdev.h>
#include <media/videobuf2-v4l2.h>
#include <media/videobuf2-vmalloc.h>

/* Raspberry Pi's kernel has these two, Debian's does not. */
#ifndef MEDIA_BUS_FMT_SENSOR_DATA
#define MEDIA_BUS_FMT_SENSOR_DATA 0x7002
#endif
#ifndef V4L2_META_FMT_SENSOR_DATA
#define V4L2_META_FMT_SENSOR_DATA v4l2_fourcc('S', 'E', 'N', 'S')
#endif

enum shape { SHAPE_RP1_CFE, SHAPE_UNICAM };
/* Of the imx500 driver: the first; with device id and injection; holding the network while it is open. */
enum age { AGE_FIRST = 1, AGE_INJECTION = 2, AGE_HOLDING = 3 };

extern enum shape shape;
extern int age;
extern unsigned int autosuspend_ms;
extern bool hold;
extern bool cached;
extern unsigned int piece_ms;
extern int fail_stage, fail_errno, stall_stage;
extern unsigned int stall_ms;

/* --- the network's file --- */

size_t network_valid_bytes(const u8 *file, size_t len);
int network_check_registers(const u8 *file, size_t len);
unsigned int network_lines(const u8 *file, size_t len);

/* --- the sensor --- */

struct mode {
	unsigned int width, height, line_length;
};

enum sensor_pad { PICTURE_PAD, METADATA_PAD, SENSOR_PADS };

struct camera;

struct sensor {
	struct v4l2_subdev sd;
	struct media_pad pads[SENSOR_PADS];
	struct camera *camera;
	struct i2c_client *client;
	/* Also the lock of the controls. */
	struct mutex lock;
	/* Held by each ioctl on the sub-device, and while it is unregistered. */
	struct mutex ioctl_lock;
	struct v4l2_ctrl_handler controls;
	struct v4l2_ctrl *vblank, *hblank, *exposure, *hflip, *vflip, *network_fd;
	struct v4l2_ctrl *device_id, *enable_injection;
	const struct mode *mode;
	bool streaming;

	/* What is set, and what has been uploaded. Powering off loses all of it. */
	u8 *network;
	size_t network_len;
	unsigned int dnn_lines;
	bool powered, firmware_written, network_written, injection;
	u8 comparison_frame;
	unsigned int handles;
	struct delayed_work suspend;

	const struct firmware *loader, *main;
	/* As the driver's two files of debugfs tell it. */
	unsigned int stage;
	size_t done, piece_done;
	struct dentry *progress_folder, *transfer_folder;
};

extern struct i2c_driver sensor_driver;

int sensor_set_stream(struct sensor *sensor, bool on);
u64 sensor_frame_interval_ns(struct sensor *sensor);
unsigned int sensor_metadata_width(struct sensor *sensor);

int upload(struct sensor *sensor);
void upload_add_files(struct sensor *sensor);

/* --- the receiver --- */

enum node_id {
	NODE_PICTURE,
	NODE_METADATA,
	NODE_CHANNEL2,
	NODE_CHANNEL3,
	NODE_FE_IMAGE0,
	NODE_FE_IMAGE1,
	NODE_FE_STATS,
	NODE_FE_CONFIG,
	RECEIVER_NODES,
	/* Not in the media graph: no real camera has them. */
	NODE_FEED = RECEIVER_NODES,
	NODE_INJECTED,
	NODES,
};

struct vnode {
	struct video_device vdev;
	struct media_pad pad;
	struct media_pipeline pipe;
	struct vb2_queue queue;
	struct mutex lock;
	struct list_head buffers;
	struct camera *camera;
	enum node_id id;
	enum v4l2_buf_type type;
	bool registered, streaming;
	struct v4l2_pix_format pix;
	struct v4l2_meta_format meta;
};

struct buffer {
	struct vb2_v4l2_buffer vb;
	struct list_head list;
};

enum csi2_pads { CSI2_CHANNELS = 4, CSI2_PADS = 8 };
enum fe_pads { FE_STREAM, FE_CONFIG, FE_IMAGE0, FE_IMAGE1, FE_STATS, FE_PADS };

struct camera {
	struct list_head list;
	unsigned int bus;
	struct platform_device *pdev;
	struct i2c_adapter adapter;
	struct i2c_client *client;

	struct media_device mdev;
	struct v4l2_device v4l2_dev;
	struct media_pipeline pipe;
	struct v4l2_subdev csi2, fe;
	struct media_pad csi2_pads[CSI2_PADS], fe_pads[FE_PADS];
	struct vnode nodes[NODES];
	/* Without a media device: the nodes behind the camera. */
	struct v4l2_device feed_dev;

	/* Guards what follows, and start against stop and unbind. */
	struct mutex lock;
	struct sensor *sensor;
	/* Sensors that were unbound, until the module goes. */
	struct sensor *retired[16];
	unsigned int retired_count;

	/* Guards the nodes' buffer lists. */
	spinlock_t buffers_lock;
	/* Held while a frame is sent, so that a node that stops gets its buffers back; guards what follows. */
	struct mutex frame_lock;
	wait_queue_head_t changed;
	struct task_struct *silicon;
	u32 sequence;
	u32 silent;
	u8 frame_count;
};

int receiver_add(struct camera *camera);
void receiver_remove(struct camera *camera);
int receiver_bind(struct camera *camera, struct sensor *sensor);
void receiver_unbind(struct camera *camera);
int receiver_start(struct vnode *node);
void receiver_stop(struct vnode *node);
int receiver_validate_node(struct media_link *link);

/* --- nodes --- */

int node_add(struct camera *camera, enum node_id id);
void node_remove(struct vnode *node);
/* What a node is called in the media graph; none where this shape of receiver has no such node. */
const char *node_name(enum node_id id);
/* The next buffer that the user has queued; the caller holds buffers_lock. */
struct buffer *node_take(struct vnode *node);
void node_return_all(struct vnode *node, enum vb2_buffer_state state);

/* --- the silicon --- */

int silicon_start(struct camera *camera);
void silicon_stop(struct camera *camera);
int silicon_inject(struct camera *camera, const u8 *tensor, size_t len, u8 *comparison_frame);

#endif
