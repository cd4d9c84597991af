// SPDX-License-Identifier: GPL-2.0
/*
 * The media device between sensor and memory.
 *
 *   rp1-cfe   imx500:0 => csi2:0 | csi2:4 -> rp1-cfe-csi2_ch0, or pisp-fe:0 -> fe nodes
 *             imx500:1 => csi2:1 | csi2:5 -> rp1-cfe-embedded
 *             the sensor starts when every node with an enabled link streams
 *
 *   unicam    imx500:0 => unicam-image      the sensor starts with this one
 *             imx500:1 => unicam-embedded   its format must be the pad's to the byte
 *
 * => is immutable. Links are left as libcamera leaves them: through the front end.
 */
#include <linux/module.h>

#include "virtual.h"

static bool is_linked(struct vnode *node)
{
	return media_pad_remote_pad_first(&node->pad) != NULL;
}

static bool is_front_end(enum node_id id)
{
	return id >= NODE_FE_IMAGE0 && id <= NODE_FE_CONFIG;
}

/* --- csi2 and front end --- */

static int init_state(struct v4l2_subdev *sd, struct v4l2_subdev_state *state)
{
	unsigned int pad;

	for (pad = 0; pad < sd->entity.num_pads; pad++) {
		struct v4l2_mbus_framefmt *format = v4l2_subdev_state_get_format(state, pad);
		bool metadata = sd->entity.num_pads == CSI2_PADS ? pad % CSI2_CHANNELS == 1 :
								    pad == FE_CONFIG || pad == FE_STATS;

		*format = metadata ? (struct v4l2_mbus_framefmt){
			.code = MEDIA_BUS_FMT_SENSOR_DATA, .width = 16384, .height = 1, .field = V4L2_FIELD_NONE,
		} : (struct v4l2_mbus_framefmt){
			.code = MEDIA_BUS_FMT_SRGGB10_1X10, .width = 640, .height = 480, .field = V4L2_FIELD_NONE,
			.colorspace = V4L2_COLORSPACE_RAW, .ycbcr_enc = V4L2_YCBCR_ENC_601,
			.quantization = V4L2_QUANTIZATION_FULL_RANGE, .xfer_func = V4L2_XFER_FUNC_NONE,
		};
	}
	return 0;
}

static int enum_code(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_mbus_code_enum *code)
{
	if (code->index)
		return -EINVAL;
	code->code = v4l2_subdev_state_get_format(state, code->pad)->code;
	return 0;
}

static u32 known_code(u32 code)
{
	switch (code) {
	case MEDIA_BUS_FMT_SENSOR_DATA:
	case MEDIA_BUS_FMT_SRGGB10_1X10:
	case MEDIA_BUS_FMT_SGRBG10_1X10:
	case MEDIA_BUS_FMT_SGBRG10_1X10:
	case MEDIA_BUS_FMT_SBGGR10_1X10:
		return code;
	}
	return MEDIA_BUS_FMT_SRGGB10_1X10;
}

/* A sink takes every size and hands it on to its source; a source takes none. */
static int set_format(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_format *fmt)
{
	bool csi2 = sd->entity.num_pads == CSI2_PADS;

	if (sd->entity.pads[fmt->pad].flags & MEDIA_PAD_FL_SOURCE)
		return v4l2_subdev_get_fmt(sd, state, fmt);
	fmt->format.code = known_code(fmt->format.code);
	fmt->format.width = clamp_t(u32, fmt->format.width, 1, 1 << 24);
	fmt->format.height = clamp_t(u32, fmt->format.height, 1, 1 << 14);
	fmt->format.field = V4L2_FIELD_NONE;
	*v4l2_subdev_state_get_format(state, fmt->pad) = fmt->format;
	if (csi2)
		*v4l2_subdev_state_get_format(state, fmt->pad + CSI2_CHANNELS) = fmt->format;
	return 0;
}

static const struct v4l2_subdev_pad_ops pad_ops = {
	.enum_mbus_code = enum_code,
	.get_fmt = v4l2_subdev_get_fmt,
	.set_fmt = set_format,
	.link_validate = v4l2_subdev_link_validate_default,
};

static const struct v4l2_subdev_ops subdev_ops = { .pad = &pad_ops };
static const struct v4l2_subdev_internal_ops internal_ops = { .init_state = init_state };

static const struct media_entity_operations csi2_entity_ops = {
	.link_validate = v4l2_subdev_link_validate,
};

static int accept_link(struct media_link *link)
{
	return 0;
}

static const struct media_entity_operations fe_entity_ops = { .link_validate = accept_link };

static int add_subdev(struct camera *camera, struct v4l2_subdev *sd, const char *name, u32 function,
		      const struct media_entity_operations *entity_ops, struct media_pad *pads, u16 count)
{
	int ret;

	v4l2_subdev_init(sd, &subdev_ops);
	sd->internal_ops = &internal_ops;
	sd->flags = V4L2_SUBDEV_FL_HAS_DEVNODE;
	sd->owner = THIS_MODULE;
	strscpy(sd->name, name, sizeof(sd->name));
	sd->entity.function = function;
	sd->entity.ops = entity_ops;
	ret = media_entity_pads_init(&sd->entity, count, pads);
	if (!ret)
		ret = v4l2_subdev_init_finalize(sd);
	if (!ret)
		ret = v4l2_device_register_subdev(&camera->v4l2_dev, sd);
	return ret;
}

static void remove_subdev(struct v4l2_subdev *sd)
{
	if (!sd->entity.num_pads)
		return;
	v4l2_device_unregister_subdev(sd);
	v4l2_subdev_cleanup(sd);
	media_entity_cleanup(&sd->entity);
}

static int link_node(struct camera *camera, struct media_entity *from, u16 pad, enum node_id to, u32 flags)
{
	return media_create_pad_link(from, pad, &camera->nodes[to].vdev.entity, 0, flags);
}

static int add_rp1_cfe(struct camera *camera)
{
	struct media_entity *csi2 = &camera->csi2.entity, *fe = &camera->fe.entity;
	const u32 on = MEDIA_LNK_FL_ENABLED;
	unsigned int i;
	int ret;

	for (i = 0; i < CSI2_PADS; i++)
		camera->csi2_pads[i].flags = i < CSI2_CHANNELS ? MEDIA_PAD_FL_SINK : MEDIA_PAD_FL_SOURCE;
	for (i = 0; i < FE_PADS; i++)
		camera->fe_pads[i].flags = i <= FE_CONFIG ? MEDIA_PAD_FL_SINK : MEDIA_PAD_FL_SOURCE;
	ret = add_subdev(camera, &camera->csi2, "csi2", MEDIA_ENT_F_VID_IF_BRIDGE, &csi2_entity_ops,
			 camera->csi2_pads, CSI2_PADS) ?:
	      add_subdev(camera, &camera->fe, "pisp-fe", MEDIA_ENT_F_PROC_VIDEO_SCALER, &fe_entity_ops,
			 camera->fe_pads, FE_PADS);
	for (i = 0; !ret && i < RECEIVER_NODES; i++)
		ret = node_add(camera, i);
	if (ret)
		return ret;
	return link_node(camera, csi2, 4, NODE_PICTURE, 0) ?:
	       media_create_pad_link(csi2, 4, fe, FE_STREAM, on) ?:
	       link_node(camera, csi2, 5, NODE_METADATA, on) ?:
	       link_node(camera, csi2, 6, NODE_CHANNEL2, 0) ?:
	       media_create_pad_link(csi2, 6, fe, FE_STREAM, 0) ?:
	       link_node(camera, csi2, 7, NODE_CHANNEL3, 0) ?:
	       media_create_pad_link(csi2, 7, fe, FE_STREAM, 0) ?:
	       link_node(camera, fe, FE_IMAGE0, NODE_FE_IMAGE0, on) ?:
	       link_node(camera, fe, FE_IMAGE1, NODE_FE_IMAGE1, 0) ?:
	       link_node(camera, fe, FE_STATS, NODE_FE_STATS, on) ?:
	       media_create_pad_link(&camera->nodes[NODE_FE_CONFIG].vdev.entity, 0, fe, FE_CONFIG, on);
}

static int add_unicam(struct camera *camera)
{
	return node_add(camera, NODE_PICTURE) ?: node_add(camera, NODE_METADATA);
}

int receiver_add(struct camera *camera)
{
	struct device *dev = &camera->pdev->dev;
	int ret;

	camera->mdev.dev = dev;
	strscpy(camera->mdev.model, shape == SHAPE_UNICAM ? "unicam" : "rp1-cfe", sizeof(camera->mdev.model));
	media_device_init(&camera->mdev);
	camera->v4l2_dev.mdev = &camera->mdev;
	ret = v4l2_device_register(dev, &camera->v4l2_dev);
	if (ret)
		return ret;
	snprintf(camera->feed_dev.name, sizeof(camera->feed_dev.name), "virtual-imx500-%u", camera->bus);
	ret = v4l2_device_register(dev, &camera->feed_dev);
	if (!ret)
		ret = shape == SHAPE_UNICAM ? add_unicam(camera) : add_rp1_cfe(camera);
	if (!ret)
		ret = node_add(camera, NODE_FEED) ?: node_add(camera, NODE_INJECTED);
	if (!ret)
		ret = v4l2_device_register_subdev_nodes(&camera->v4l2_dev);
	if (!ret)
		ret = media_device_register(&camera->mdev);
	if (ret)
		receiver_remove(camera);
	return ret;
}

void receiver_remove(struct camera *camera)
{
	unsigned int i;

	for (i = 0; i < NODES; i++)
		node_remove(&camera->nodes[i]);
	media_device_unregister(&camera->mdev);
	remove_subdev(&camera->fe);
	remove_subdev(&camera->csi2);
	v4l2_device_unregister(&camera->feed_dev);
	v4l2_device_unregister(&camera->v4l2_dev);
	media_device_cleanup(&camera->mdev);
}

/* --- the sensor comes and goes --- */

int receiver_bind(struct camera *camera, struct sensor *sensor)
{
	const u32 fixed = MEDIA_LNK_FL_ENABLED | MEDIA_LNK_FL_IMMUTABLE;
	struct media_entity *entity = &sensor->sd.entity;
	int ret = v4l2_device_register_subdev(&camera->v4l2_dev, &sensor->sd);

	if (ret)
		return ret;
	if (shape == SHAPE_UNICAM)
		ret = link_node(camera, entity, PICTURE_PAD, NODE_PICTURE, fixed) ?:
		      link_node(camera, entity, METADATA_PAD, NODE_METADATA, fixed);
	else
		ret = media_create_pad_link(entity, PICTURE_PAD, &camera->csi2.entity, 0, fixed) ?:
		      media_create_pad_link(entity, METADATA_PAD, &camera->csi2.entity, 1, fixed);
	if (!ret)
		ret = v4l2_device_register_subdev_nodes(&camera->v4l2_dev);
	if (ret) {
		v4l2_device_unregister_subdev(&sensor->sd);
		return ret;
	}
	sensor->sd.devnode->lock = &sensor->ioctl_lock;
	mutex_lock(&camera->lock);
	camera->sensor = sensor;
	mutex_unlock(&camera->lock);
	return 0;
}

void receiver_unbind(struct camera *camera)
{
	struct sensor *sensor;
	unsigned int i;

	mutex_lock(&camera->lock);
	silicon_stop(camera);
	sensor = camera->sensor;
	camera->sensor = NULL;
	if (sensor)
		sensor_set_stream(sensor, false);
	for (i = 0; i < RECEIVER_NODES; i++)
		if (camera->nodes[i].streaming)
			vb2_queue_error(&camera->nodes[i].queue);
	mutex_unlock(&camera->lock);
	if (!sensor)
		return;
	/*
	 * Linux forgets the sub-device's v4l2_device before it takes the node away, so that an ioctl in between
	 * follows a null pointer (v4l2_device_unregister_subdev, VIDIOC_G_EXT_CTRLS). None may be in between.
	 */
	mutex_lock(&sensor->ioctl_lock);
	v4l2_device_unregister_subdev(&sensor->sd);
	mutex_unlock(&sensor->ioctl_lock);
}

/* --- streams --- */

/* What the receiver's own driver refuses at the start of a pipeline. */
int receiver_validate_node(struct media_link *link)
{
	struct video_device *vdev = media_entity_to_video_device(link->sink->entity);
	struct vnode *node = container_of(vdev, struct vnode, vdev);
	struct v4l2_subdev_format source = { .which = V4L2_SUBDEV_FORMAT_ACTIVE, .pad = link->source->index };
	struct v4l2_subdev *sd = media_entity_to_v4l2_subdev(link->source->entity);
	int ret;

	if (is_front_end(node->id))
		return 0;
	ret = v4l2_subdev_call_state_active(sd, pad, get_fmt, &source);
	if (ret)
		return ret;
	if (node->type == V4L2_BUF_TYPE_META_CAPTURE) {
		u32 wanted = source.format.width * source.format.height, set = node->meta.buffersize;

		if (source.format.code != MEDIA_BUS_FMT_SENSOR_DATA)
			return -EINVAL;
		return (shape == SHAPE_UNICAM ? set != wanted : set < wanted) ? -EINVAL : 0;
	}
	if (source.format.width != node->pix.width || source.format.height != node->pix.height)
		return -EINVAL;
	switch (source.format.code) {
	case MEDIA_BUS_FMT_SRGGB10_1X10:
		return node->pix.pixelformat == V4L2_PIX_FMT_SRGGB10P ? 0 : -EINVAL;
	case MEDIA_BUS_FMT_SGRBG10_1X10:
		return node->pix.pixelformat == V4L2_PIX_FMT_SGRBG10P ? 0 : -EINVAL;
	case MEDIA_BUS_FMT_SGBRG10_1X10:
		return node->pix.pixelformat == V4L2_PIX_FMT_SGBRG10P ? 0 : -EINVAL;
	case MEDIA_BUS_FMT_SBGGR10_1X10:
		return node->pix.pixelformat == V4L2_PIX_FMT_SBGGR10P ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static bool front_end_without_config(struct camera *camera)
{
	bool used = is_linked(&camera->nodes[NODE_FE_IMAGE0]) || is_linked(&camera->nodes[NODE_FE_IMAGE1]) ||
		    is_linked(&camera->nodes[NODE_FE_STATS]);

	return used && !is_linked(&camera->nodes[NODE_FE_CONFIG]);
}

static bool all_stream(struct camera *camera)
{
	unsigned int i;

	if (shape == SHAPE_UNICAM)
		return camera->nodes[NODE_PICTURE].streaming;
	for (i = 0; i < RECEIVER_NODES; i++)
		if (is_linked(&camera->nodes[i]) && !camera->nodes[i].streaming)
			return false;
	return true;
}

static bool any_streams(struct camera *camera)
{
	unsigned int i;

	if (shape == SHAPE_UNICAM)
		return camera->nodes[NODE_PICTURE].streaming;
	for (i = 0; i < RECEIVER_NODES; i++)
		if (camera->nodes[i].streaming)
			return true;
	return false;
}

static int start_sensor(struct camera *camera)
{
	int ret = sensor_set_stream(camera->sensor, true);

	if (ret)
		return ret;
	ret = silicon_start(camera);
	if (ret)
		sensor_set_stream(camera->sensor, false);
	return ret;
}

/* csi2 joins all of rp1-cfe's streams; nothing joins unicam's two. */
static struct media_pipeline *pipe_of(struct vnode *node)
{
	return shape == SHAPE_UNICAM ? &node->pipe : &node->camera->pipe;
}

int receiver_start(struct vnode *node)
{
	struct camera *camera = node->camera;
	int ret;

	mutex_lock(&camera->lock);
	if (!camera->sensor)
		ret = -ENODEV;
	else if (!is_linked(node) || (shape == SHAPE_RP1_CFE && front_end_without_config(camera)))
		ret = -EINVAL;
	else
		ret = media_pipeline_start(&node->pad, pipe_of(node));
	if (!ret) {
		node->streaming = true;
		if (!camera->silicon && all_stream(camera))
			ret = start_sensor(camera);
		if (ret) {
			node->streaming = false;
			media_pipeline_stop(&node->pad);
		}
	}
	mutex_unlock(&camera->lock);
	return ret;
}

void receiver_stop(struct vnode *node)
{
	struct camera *camera = node->camera;

	mutex_lock(&camera->lock);
	mutex_lock(&camera->frame_lock);
	node->streaming = false;
	mutex_unlock(&camera->frame_lock);
	if (!any_streams(camera)) {
		silicon_stop(camera);
		if (camera->sensor)
			sensor_set_stream(camera->sensor, false);
	}
	media_pipeline_stop(&node->pad);
	mutex_unlock(&camera->lock);
}
