// SPDX-License-Identifier: GPL-2.0
/*
 * Video nodes: those of the receiver, and behind the camera the one through which the silicon is fed and the
 * one that tells what was injected. All are queues of buffers in vmalloc memory; silicon.c empties them.
 */
#include <linux/module.h>
#include <linux/version.h>

#include "virtual.h"

#define LINE_ALIGN 16
#define DEFAULT_METADATA_LEN 16384
#define MOST_METADATA_LEN (16 << 20)
#define MOST_FEED_LEN (32 << 20)

#define FMT_FE_STATS v4l2_fourcc('R', 'P', 'F', 'S')
#define FMT_FE_CONFIG v4l2_fourcc('R', 'P', 'F', 'C')
#define FMT_FEED v4l2_fourcc('F', 'E', 'E', 'D')
#define FMT_INJECTED v4l2_fourcc('C', 'I', 'N', 'J')

struct description {
	const char *rp1_cfe, *unicam;
	enum v4l2_buf_type type;
	u32 caps;
	/* Of metadata. */
	u32 format;
	const char *format_name;
};

static const struct description descriptions[NODES] = {
	[NODE_PICTURE] = { "rp1-cfe-csi2_ch0", "unicam-image", V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE },
	[NODE_METADATA] = { "rp1-cfe-embedded", "unicam-embedded", V4L2_BUF_TYPE_META_CAPTURE, V4L2_CAP_META_CAPTURE,
			    V4L2_META_FMT_SENSOR_DATA, "Sensor Ancillary Metadata" },
	[NODE_CHANNEL2] = { "rp1-cfe-csi2_ch2", NULL, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE },
	[NODE_CHANNEL3] = { "rp1-cfe-csi2_ch3", NULL, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE },
	[NODE_FE_IMAGE0] = { "rp1-cfe-fe_image0", NULL, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE },
	[NODE_FE_IMAGE1] = { "rp1-cfe-fe_image1", NULL, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE },
	[NODE_FE_STATS] = { "rp1-cfe-fe_stats", NULL, V4L2_BUF_TYPE_META_CAPTURE, V4L2_CAP_META_CAPTURE,
			    FMT_FE_STATS, "Front End Statistics" },
	[NODE_FE_CONFIG] = { "rp1-cfe-fe_config", NULL, V4L2_BUF_TYPE_META_OUTPUT, V4L2_CAP_META_OUTPUT,
			     FMT_FE_CONFIG, "Front End Configuration" },
	[NODE_FEED] = { "virtual-imx500-feed", "virtual-imx500-feed", V4L2_BUF_TYPE_META_OUTPUT,
			V4L2_CAP_META_OUTPUT, FMT_FEED, "Frames of a Virtual Sensor" },
	[NODE_INJECTED] = { "virtual-imx500-injected", "virtual-imx500-injected", V4L2_BUF_TYPE_META_CAPTURE,
			    V4L2_CAP_META_CAPTURE, FMT_INJECTED, "Injected Input Tensors" },
};

static const u32 picture_formats[] = {
	V4L2_PIX_FMT_SRGGB10P, V4L2_PIX_FMT_SGRBG10P, V4L2_PIX_FMT_SGBRG10P, V4L2_PIX_FMT_SBGGR10P,
};

const char *node_name(enum node_id id)
{
	return shape == SHAPE_UNICAM ? descriptions[id].unicam : descriptions[id].rp1_cfe;
}

static bool is_picture(struct vnode *node)
{
	return node->type == V4L2_BUF_TYPE_VIDEO_CAPTURE;
}

static bool is_behind(struct vnode *node)
{
	return node->id >= RECEIVER_NODES;
}

static u32 size_of(struct vnode *node)
{
	return is_picture(node) ? node->pix.sizeimage : node->meta.buffersize;
}

static struct buffer *to_buffer(struct vb2_buffer *vb)
{
	return container_of(to_vb2_v4l2_buffer(vb), struct buffer, vb);
}

/* --- queue --- */

static int queue_setup(struct vb2_queue *queue, unsigned int *count, unsigned int *planes, unsigned int sizes[],
		       struct device *devices[])
{
	u32 size = size_of(vb2_get_drv_priv(queue));

	if (*planes)
		return sizes[0] < size ? -EINVAL : 0;
	*planes = 1;
	sizes[0] = size;
	return 0;
}

static int buf_prepare(struct vb2_buffer *vb)
{
	struct vnode *node = vb2_get_drv_priv(vb->vb2_queue);

	if (vb2_plane_size(vb, 0) < size_of(node))
		return -EINVAL;
	if (V4L2_TYPE_IS_CAPTURE(node->type))
		vb2_set_plane_payload(vb, 0, size_of(node));
	return 0;
}

static void buf_queue(struct vb2_buffer *vb)
{
	struct vnode *node = vb2_get_drv_priv(vb->vb2_queue);
	unsigned long flags;

	spin_lock_irqsave(&node->camera->buffers_lock, flags);
	list_add_tail(&to_buffer(vb)->list, &node->buffers);
	spin_unlock_irqrestore(&node->camera->buffers_lock, flags);
	wake_up_interruptible(&node->camera->changed);
}

struct buffer *node_take(struct vnode *node)
{
	struct buffer *buffer = list_first_entry_or_null(&node->buffers, struct buffer, list);

	if (buffer)
		list_del(&buffer->list);
	return buffer;
}

void node_return_all(struct vnode *node, enum vb2_buffer_state state)
{
	struct buffer *buffer;
	unsigned long flags;

	spin_lock_irqsave(&node->camera->buffers_lock, flags);
	while ((buffer = node_take(node)))
		vb2_buffer_done(&buffer->vb.vb2_buf, state);
	spin_unlock_irqrestore(&node->camera->buffers_lock, flags);
}

static int start_streaming(struct vb2_queue *queue, unsigned int count)
{
	struct vnode *node = vb2_get_drv_priv(queue);
	int ret = 0;

	if (is_behind(node)) {
		mutex_lock(&node->camera->frame_lock);
		node->streaming = true;
		mutex_unlock(&node->camera->frame_lock);
		wake_up_interruptible(&node->camera->changed);
	} else {
		ret = receiver_start(node);
	}
	if (ret)
		node_return_all(node, VB2_BUF_STATE_QUEUED);
	return ret;
}

static void stop_streaming(struct vb2_queue *queue)
{
	struct vnode *node = vb2_get_drv_priv(queue);

	if (is_behind(node)) {
		mutex_lock(&node->camera->frame_lock);
		node->streaming = false;
		mutex_unlock(&node->camera->frame_lock);
	} else {
		receiver_stop(node);
	}
	node_return_all(node, VB2_BUF_STATE_ERROR);
}

static const struct vb2_ops queue_ops = {
	.queue_setup = queue_setup,
	.buf_prepare = buf_prepare,
	.buf_queue = buf_queue,
	.start_streaming = start_streaming,
	.stop_streaming = stop_streaming,
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
#endif
};

/* --- ioctls --- */

static int querycap(struct file *file, void *fh, struct v4l2_capability *cap)
{
	struct vnode *node = video_drvdata(file);
	/* Real receivers name the driver; the nodes behind a camera are found by theirs, and by its id. */
	const char *driver = is_behind(node) ? "virtual-imx500" : node->camera->mdev.model;

	strscpy(cap->driver, driver, sizeof(cap->driver));
	strscpy(cap->card, driver, sizeof(cap->card));
	if (is_behind(node))
		snprintf(cap->card, sizeof(cap->card), "%u-001a", node->camera->bus);
	snprintf(cap->bus_info, sizeof(cap->bus_info), "platform:%s", dev_name(&node->camera->pdev->dev));
	return 0;
}

static int enum_fmt_vid(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	struct vnode *node = video_drvdata(file);
	static const u32 codes[] = {
		MEDIA_BUS_FMT_SRGGB10_1X10, MEDIA_BUS_FMT_SGRBG10_1X10,
		MEDIA_BUS_FMT_SGBRG10_1X10, MEDIA_BUS_FMT_SBGGR10_1X10,
	};
	unsigned int i, skip = f->index;

	if (!is_picture(node))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(picture_formats); i++) {
		if (f->mbus_code && f->mbus_code != codes[i])
			continue;
		if (!skip--) {
			f->pixelformat = picture_formats[i];
			return 0;
		}
	}
	return -EINVAL;
}

static int get_fmt_vid(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vnode *node = video_drvdata(file);

	if (!is_picture(node))
		return -EINVAL;
	f->fmt.pix = node->pix;
	return 0;
}

static void complete_pix(struct v4l2_pix_format *pix)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(picture_formats); i++)
		if (picture_formats[i] == pix->pixelformat)
			break;
	if (i == ARRAY_SIZE(picture_formats))
		pix->pixelformat = V4L2_PIX_FMT_SRGGB10P;
	pix->width = clamp_t(u32, pix->width, 16, 16384) & ~3;
	pix->height = clamp_t(u32, pix->height, 16, 16384);
	pix->bytesperline = ALIGN(pix->width * 10 / 8, LINE_ALIGN);
	pix->sizeimage = pix->bytesperline * pix->height;
	pix->field = V4L2_FIELD_NONE;
	pix->colorspace = V4L2_COLORSPACE_RAW;
	pix->ycbcr_enc = V4L2_YCBCR_ENC_601;
	pix->quantization = V4L2_QUANTIZATION_FULL_RANGE;
	pix->xfer_func = V4L2_XFER_FUNC_NONE;
	pix->flags = 0;
}

static int try_fmt_vid(struct file *file, void *fh, struct v4l2_format *f)
{
	if (!is_picture(video_drvdata(file)))
		return -EINVAL;
	complete_pix(&f->fmt.pix);
	return 0;
}

static int set_fmt_vid(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vnode *node = video_drvdata(file);
	int ret = try_fmt_vid(file, fh, f);

	if (ret)
		return ret;
	if (vb2_is_busy(&node->queue))
		return -EBUSY;
	node->pix = f->fmt.pix;
	return 0;
}

static int enum_fmt_meta(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	struct vnode *node = video_drvdata(file);

	if (f->type != node->type || f->index || (f->mbus_code && f->mbus_code != MEDIA_BUS_FMT_SENSOR_DATA))
		return -EINVAL;
	f->pixelformat = descriptions[node->id].format;
	strscpy(f->description, descriptions[node->id].format_name, sizeof(f->description));
	return 0;
}

static int get_fmt_meta(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vnode *node = video_drvdata(file);

	if (f->type != node->type)
		return -EINVAL;
	f->fmt.meta = node->meta;
	return 0;
}

static int try_fmt_meta(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vnode *node = video_drvdata(file);
	struct v4l2_meta_format *meta = &f->fmt.meta;

	if (f->type != node->type)
		return -EINVAL;
	meta->dataformat = descriptions[node->id].format;
	if (!meta->buffersize)
		meta->buffersize = DEFAULT_METADATA_LEN;
	meta->buffersize = min_t(u32, meta->buffersize, is_behind(node) ? MOST_FEED_LEN : MOST_METADATA_LEN);
	/* unicam keeps what it is told, to the byte. */
	if (shape == SHAPE_RP1_CFE && !is_behind(node))
		meta->buffersize = ALIGN(meta->buffersize, LINE_ALIGN);
	return 0;
}

static int set_fmt_meta(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vnode *node = video_drvdata(file);
	int ret = try_fmt_meta(file, fh, f);

	if (ret)
		return ret;
	if (vb2_is_busy(&node->queue))
		return -EBUSY;
	node->meta = f->fmt.meta;
	return 0;
}

static const struct v4l2_ioctl_ops ioctl_ops = {
	.vidioc_querycap = querycap,
	.vidioc_enum_fmt_vid_cap = enum_fmt_vid,
	.vidioc_g_fmt_vid_cap = get_fmt_vid,
	.vidioc_s_fmt_vid_cap = set_fmt_vid,
	.vidioc_try_fmt_vid_cap = try_fmt_vid,
	.vidioc_enum_fmt_meta_cap = enum_fmt_meta,
	.vidioc_g_fmt_meta_cap = get_fmt_meta,
	.vidioc_s_fmt_meta_cap = set_fmt_meta,
	.vidioc_try_fmt_meta_cap = try_fmt_meta,
	.vidioc_enum_fmt_meta_out = enum_fmt_meta,
	.vidioc_g_fmt_meta_out = get_fmt_meta,
	.vidioc_s_fmt_meta_out = set_fmt_meta,
	.vidioc_try_fmt_meta_out = try_fmt_meta,
	.vidioc_reqbufs = vb2_ioctl_reqbufs,
	.vidioc_querybuf = vb2_ioctl_querybuf,
	.vidioc_qbuf = vb2_ioctl_qbuf,
	.vidioc_dqbuf = vb2_ioctl_dqbuf,
	.vidioc_expbuf = vb2_ioctl_expbuf,
	.vidioc_streamon = vb2_ioctl_streamon,
	.vidioc_streamoff = vb2_ioctl_streamoff,
	.vidioc_subscribe_event = v4l2_ctrl_subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};

static const struct v4l2_file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = vb2_fop_release,
	.unlocked_ioctl = video_ioctl2,
	.mmap = vb2_fop_mmap,
	.poll = vb2_fop_poll,
};

static const struct media_entity_operations entity_ops = { .link_validate = receiver_validate_node };

int node_add(struct camera *camera, enum node_id id)
{
	const struct description *description = &descriptions[id];
	struct vnode *node = &camera->nodes[id];
	struct vb2_queue *queue = &node->queue;
	struct video_device *vdev = &node->vdev;
	bool output = V4L2_TYPE_IS_OUTPUT(description->type);
	int ret;

	node->camera = camera;
	node->id = id;
	node->type = description->type;
	node->pix = (struct v4l2_pix_format){ .width = 640, .height = 480 };
	complete_pix(&node->pix);
	node->meta.dataformat = description->format;
	node->meta.buffersize = DEFAULT_METADATA_LEN;
	mutex_init(&node->lock);
	INIT_LIST_HEAD(&node->buffers);

	queue->type = node->type;
	queue->io_modes = VB2_MMAP | VB2_DMABUF;
	queue->drv_priv = node;
	queue->ops = &queue_ops;
	queue->mem_ops = &vb2_vmalloc_memops;
	queue->buf_struct_size = sizeof(struct buffer);
	queue->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	queue->min_queued_buffers = is_behind(node) ? 0 : 1;
	queue->min_reqbufs_allocation = is_behind(node) ? 2 : 3;
	queue->lock = &node->lock;
	queue->dev = &camera->pdev->dev;
	ret = vb2_queue_init(queue);
	if (ret)
		return ret;

	strscpy(vdev->name, node_name(id), sizeof(vdev->name));
	vdev->fops = &file_ops;
	vdev->ioctl_ops = &ioctl_ops;
	vdev->release = video_device_release_empty;
	vdev->queue = queue;
	vdev->lock = &node->lock;
	vdev->vfl_dir = output ? VFL_DIR_TX : VFL_DIR_RX;
	vdev->device_caps = description->caps | V4L2_CAP_STREAMING;
	video_set_drvdata(vdev, node);
	if (is_behind(node)) {
		vdev->v4l2_dev = &camera->feed_dev;
	} else {
		vdev->v4l2_dev = &camera->v4l2_dev;
		vdev->device_caps |= V4L2_CAP_IO_MC;
		vdev->entity.ops = &entity_ops;
		node->pad.flags = output ? MEDIA_PAD_FL_SOURCE : MEDIA_PAD_FL_SINK;
		if (shape == SHAPE_RP1_CFE)
			node->pad.flags |= MEDIA_PAD_FL_MUST_CONNECT;
		ret = media_entity_pads_init(&vdev->entity, 1, &node->pad);
		if (ret)
			return ret;
	}
	ret = video_register_device(vdev, VFL_TYPE_VIDEO, -1);
	node->registered = !ret;
	return ret;
}

void node_remove(struct vnode *node)
{
	if (!node->registered)
		return;
	vb2_video_unregister_device(&node->vdev);
	if (!is_behind(node))
		media_entity_cleanup(&node->vdev.entity);
	node->registered = false;
}
