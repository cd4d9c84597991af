// SPDX-License-Identifier: GPL-2.0
/*
 * Frames, at the pace that mode and vertical blanking give: a buffer of the feed node becomes a buffer of the
 * metadata node, and a picture where one is captured.
 *
 *   feed node --header, metadata, picture--> [this thread] --metadata--> embedded node
 *                                                          --picture---> image node
 *   INPUT_TENSOR_FD --tensor--> injected node --> whoever feeds --> the frame with the comparison's number
 *
 * While nobody feeds, nothing comes: the sensor is silent. A host without a free buffer loses the frame and
 * sees its sequence number jump, unless `hold` is set.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/sched.h>

#include "feed.h"
#include "virtual.h"

/* The feeder has some frames queued already; the output is expected behind them. */
#define COMPARISON_AHEAD 12

static struct vnode *node_of(struct camera *camera, enum node_id id)
{
	return &camera->nodes[id];
}

static bool has_buffer(struct vnode *node)
{
	return node->streaming && !list_empty(&node->buffers);
}

static bool is_ready(struct camera *camera)
{
	unsigned long flags;
	bool ready;

	spin_lock_irqsave(&camera->buffers_lock, flags);
	ready = has_buffer(node_of(camera, NODE_FEED));
	if (hold && node_of(camera, NODE_METADATA)->streaming)
		ready = ready && has_buffer(node_of(camera, NODE_METADATA));
	if (hold && node_of(camera, NODE_PICTURE)->streaming)
		ready = ready && has_buffer(node_of(camera, NODE_PICTURE));
	spin_unlock_irqrestore(&camera->buffers_lock, flags);
	return ready;
}

static struct buffer *take(struct camera *camera, enum node_id id)
{
	struct buffer *buffer = NULL;
	unsigned long flags;

	spin_lock_irqsave(&camera->buffers_lock, flags);
	if (node_of(camera, id)->streaming)
		buffer = node_take(node_of(camera, id));
	spin_unlock_irqrestore(&camera->buffers_lock, flags);
	return buffer;
}

static void finish(struct camera *camera, struct buffer *buffer, u64 frame_start, bool damaged)
{
	buffer->vb.sequence = camera->sequence;
	buffer->vb.field = V4L2_FIELD_NONE;
	buffer->vb.vb2_buf.timestamp = frame_start;
	vb2_buffer_done(&buffer->vb.vb2_buf, damaged ? VB2_BUF_STATE_ERROR : VB2_BUF_STATE_DONE);
}

static void send_metadata(struct camera *camera, const u8 *bytes, size_t len, u32 flags, u64 frame_start)
{
	struct buffer *buffer = take(camera, NODE_METADATA);
	size_t room;

	if (!buffer)
		return;
	room = node_of(camera, NODE_METADATA)->meta.buffersize;
	len = min(len, room);
	memcpy(vb2_plane_vaddr(&buffer->vb.vb2_buf, 0), bytes, len);
	vb2_set_plane_payload(&buffer->vb.vb2_buf, 0, flags & FEED_SHORT ? len : room);
	finish(camera, buffer, frame_start, flags & FEED_DAMAGED);
}

/* Fed lines lie back to back, captured ones at the node's stride. */
static void copy_lines(const struct v4l2_pix_format *pix, u8 *to, const u8 *from, size_t len)
{
	size_t line = pix->width * 10 / 8;
	u32 row;

	for (row = 0; row < pix->height && (row + 1) * line <= len; row++)
		memcpy(to + row * pix->bytesperline, from + row * line, line);
}

static void send_picture(struct camera *camera, const u8 *bytes, size_t len, u32 flags, u64 frame_start)
{
	struct vnode *node = node_of(camera, NODE_PICTURE);
	struct buffer *buffer;
	u8 *to;

	if (flags & FEED_NO_PICTURE)
		return;
	buffer = take(camera, NODE_PICTURE);
	if (!buffer)
		return;
	to = vb2_plane_vaddr(&buffer->vb.vb2_buf, 0);
	if (len)
		copy_lines(&node->pix, to, bytes, len);
	else
		to[0] = camera->sequence;
	finish(camera, buffer, frame_start, flags & FEED_DAMAGED);
}

static void end_stream(struct camera *camera)
{
	if (node_of(camera, NODE_METADATA)->streaming)
		vb2_queue_error(&node_of(camera, NODE_METADATA)->queue);
	if (node_of(camera, NODE_PICTURE)->streaming)
		vb2_queue_error(&node_of(camera, NODE_PICTURE)->queue);
}

/* The caller holds frame_lock. */
static void send_frame(struct camera *camera, struct buffer *fed, u64 frame_start)
{
	const u8 *bytes = vb2_plane_vaddr(&fed->vb.vb2_buf, 0);
	size_t len = vb2_get_plane_payload(&fed->vb.vb2_buf, 0);
	const struct feed_header *header = (const void *)bytes;
	size_t metadata_len, picture_len;
	u32 flags;

	if (len < sizeof(*header) || le32_to_cpu(header->magic) != FEED_MAGIC) {
		pr_warn_ratelimited("virtual-imx500: fed a buffer without a header\n");
		return;
	}
	flags = le32_to_cpu(header->flags);
	metadata_len = min_t(size_t, le32_to_cpu(header->metadata_len), len - sizeof(*header));
	picture_len = min_t(size_t, le32_to_cpu(header->picture_len), len - sizeof(*header) - metadata_len);
	camera->sequence += le32_to_cpu(header->lost);
	camera->frame_count = le32_to_cpu(header->frame_count);
	if (flags & FEED_END) {
		end_stream(camera);
		return;
	}
	bytes += sizeof(*header);
	send_picture(camera, bytes + metadata_len, picture_len, flags, frame_start);
	send_metadata(camera, bytes, metadata_len, flags, frame_start);
	camera->sequence++;
}

static u32 silence_before(struct camera *camera)
{
	struct buffer *fed;
	unsigned long flags;
	u32 silent = 0;

	spin_lock_irqsave(&camera->buffers_lock, flags);
	fed = list_first_entry_or_null(&node_of(camera, NODE_FEED)->buffers, struct buffer, list);
	if (fed && vb2_get_plane_payload(&fed->vb.vb2_buf, 0) >= sizeof(struct feed_header)) {
		const struct feed_header *header = vb2_plane_vaddr(&fed->vb.vb2_buf, 0);

		silent = le32_to_cpu(header->silent);
	}
	spin_unlock_irqrestore(&camera->buffers_lock, flags);
	return silent;
}

/* Sends the frame at hand, or keeps the silence that it wants before it. */
static void tick(struct camera *camera, u64 frame_start)
{
	struct buffer *fed;

	mutex_lock(&camera->frame_lock);
	if (camera->silent < silence_before(camera)) {
		camera->silent++;
	} else {
		fed = take(camera, NODE_FEED);
		if (fed) {
			camera->silent = 0;
			send_frame(camera, fed, frame_start);
			vb2_buffer_done(&fed->vb.vb2_buf, VB2_BUF_STATE_DONE);
		}
	}
	mutex_unlock(&camera->frame_lock);
}

static int run(void *data)
{
	struct camera *camera = data;
	u64 next = ktime_get_ns();

	while (!kthread_should_stop()) {
		ktime_t at;

		/* A late frame does not hurry those behind it. */
		next = max(next + sensor_frame_interval_ns(camera->sensor), ktime_get_ns());
		at = ns_to_ktime(next);
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule_hrtimeout(&at, HRTIMER_MODE_ABS);
		__set_current_state(TASK_RUNNING);
		wait_event_interruptible(camera->changed, kthread_should_stop() || is_ready(camera));
		if (!kthread_should_stop())
			tick(camera, ktime_get_ns());
	}
	return 0;
}

/* The caller holds the camera's lock, as for silicon_stop(). */
int silicon_start(struct camera *camera)
{
	struct task_struct *thread;

	camera->sequence = 0;
	camera->silent = 0;
	thread = kthread_run(run, camera, "virtual-imx500-%u", camera->bus);
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	camera->silicon = thread;
	return 0;
}

void silicon_stop(struct camera *camera)
{
	if (camera->silicon)
		kthread_stop(camera->silicon);
	camera->silicon = NULL;
}

/* Hands a tensor to whoever feeds, and says in which frame its output will be. */
int silicon_inject(struct camera *camera, const u8 *tensor, size_t len, u8 *comparison_frame)
{
	struct injected_header header = { .magic = cpu_to_le32(INJECTED_MAGIC), .len = cpu_to_le32(len) };
	struct buffer *buffer;
	u8 frame;
	u8 *to;
	int ret = 0;

	mutex_lock(&camera->frame_lock);
	frame = camera->frame_count + COMPARISON_AHEAD;
	/* The control's range is 1 to 254. */
	if (!frame || frame == 255)
		frame += 4;
	buffer = take(camera, NODE_INJECTED);
	if (!buffer) {
		/* The sensor does not shake hands. */
		ret = -EAGAIN;
	} else if (vb2_plane_size(&buffer->vb.vb2_buf, 0) < sizeof(header) + len) {
		vb2_buffer_done(&buffer->vb.vb2_buf, VB2_BUF_STATE_ERROR);
		ret = -EREMOTEIO;
	} else {
		header.frame_count = cpu_to_le32(frame);
		to = vb2_plane_vaddr(&buffer->vb.vb2_buf, 0);
		memcpy(to, &header, sizeof(header));
		memcpy(to + sizeof(header), tensor, len);
		vb2_set_plane_payload(&buffer->vb.vb2_buf, 0, sizeof(header) + len);
		finish(camera, buffer, ktime_get_ns(), false);
		*comparison_frame = frame;
	}
	mutex_unlock(&camera->frame_lock);
	return ret;
}
