// SPDX-License-Identifier: GPL-2.0
/*
 * The sub-device "imx500 10-001a".
 *
 *   pad 0   picture    Bayer, 10 bits; its order follows the flips
 *   pad 1   metadata   one line; its width follows the network that was set
 *
 * Power as in the driver: on with the stream, off when it has been idle for autosuspend_ms, and with it the
 * network and the firmware are lost. The third age holds power and network as long as somebody has the
 * sub-device open.
 */
#include <linux/kernel_read_file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "virtual.h"

#define PIXELS_PER_SECOND 744000000
#define LINK_HERTZ 444000000
#define VBLANK_MIN 1117
#define FRAME_LENGTH_MAX 0xffdc
#define LONG_EXPOSURE_SHIFT_MAX 7
#define EXPOSURE_OFFSET 22
#define EXPOSURE_MIN 8
#define EXPOSURE_DEFAULT 0x640
#define GAIN_MAX 978
#define EMBEDDED_LEN (2 * 5072)
#define DNN_LINE_LEN 2560
#define COMPARISON_FRAME_DEFAULT 42

#define CID_IMX500_BASE (V4L2_CID_USER_BASE + 0x2000)
#define CID_INFERENCE_WINDOW (CID_IMX500_BASE + 0)
#define CID_NETWORK_FD (CID_IMX500_BASE + 1)
#define CID_DEVICE_ID (CID_IMX500_BASE + 2)
#define CID_ENABLE_INJECTION (CID_IMX500_BASE + 3)
#define CID_INPUT_TENSOR_FD (CID_IMX500_BASE + 4)
#define CID_COMPARISON_FRAME (CID_IMX500_BASE + 5)

static const struct mode modes[] = {
	{ .width = 4056, .height = 3040, .line_length = 17900 },
	{ .width = 2028, .height = 1520, .line_length = 9398 },
};

static const struct v4l2_rect pixel_array = { .left = 8, .top = 16, .width = 4056, .height = 3040 };

static struct sensor *to_sensor(struct v4l2_subdev *sd)
{
	return container_of(sd, struct sensor, sd);
}

/* --- power and network --- */

static void forget_network(struct sensor *sensor)
{
	vfree(sensor->network);
	sensor->network = NULL;
	sensor->network_len = 0;
	sensor->network_written = false;
	sensor->done = 0;
	sensor->piece_done = 0;
	if (sensor->device_id)
		v4l2_ctrl_activate(sensor->device_id, false);
}

static void power_off(struct sensor *sensor)
{
	sensor->powered = false;
	sensor->firmware_written = false;
	sensor->injection = false;
	forget_network(sensor);
}

static bool holds_power(struct sensor *sensor)
{
	return age == AGE_HOLDING && sensor->network && sensor->handles;
}

static void suspend(struct work_struct *work)
{
	struct sensor *sensor = container_of(to_delayed_work(work), struct sensor, suspend);

	mutex_lock(&sensor->lock);
	if (sensor->powered && !sensor->streaming && !holds_power(sensor))
		power_off(sensor);
	mutex_unlock(&sensor->lock);
}

static void let_idle(struct sensor *sensor)
{
	mod_delayed_work(system_wq, &sensor->suspend, msecs_to_jiffies(autosuspend_ms));
}

static int set_network(struct sensor *sensor, s32 fd)
{
	void *network = NULL;
	size_t len = 0;
	ssize_t ret;

	if (fd < 0)
		return 0;
	if (fd == S32_MAX) {
		/*
		 * The driver looks whether the device is in use. The first two ages use it only while they stream, when
		 * this control is grabbed; the third also while it holds a network.
		 */
		if (age == AGE_HOLDING ? sensor->network != NULL : sensor->streaming)
			forget_network(sensor);
		return 0;
	}
	forget_network(sensor);
	ret = kernel_read_file_from_fd(fd, 0, &network, INT_MAX, &len, READING_FIRMWARE);
	if (ret < 0)
		return ret;
	if (ret != len) {
		vfree(network);
		return -EIO;
	}
	sensor->network = network;
	sensor->network_len = len;
	sensor->dnn_lines = network_lines(network, len);
	return 0;
}

static int inject(struct sensor *sensor, s32 fd)
{
	void *tensor = NULL;
	size_t len = 0;
	ssize_t ret;

	if (!sensor->streaming || !sensor->network || !sensor->injection)
		return fd == -1 ? 0 : -EINVAL;
	ret = kernel_read_file_from_fd(fd, 0, &tensor, INT_MAX, &len, READING_FIRMWARE);
	if (ret < 0)
		return ret;
	if (len % 4)
		ret = -EINVAL;
	else
		ret = silicon_inject(sensor->camera, tensor, len, &sensor->comparison_frame);
	vfree(tensor);
	return ret;
}

/* --- controls --- */

static void limit_exposure(struct sensor *sensor)
{
	int most = sensor->mode->height + sensor->vblank->val - EXPOSURE_OFFSET;

	__v4l2_ctrl_modify_range(sensor->exposure, EXPOSURE_MIN, most, 1, min(most, sensor->exposure->val));
}

static void limit_frame_length(struct sensor *sensor)
{
	int hblank = sensor->mode->line_length - sensor->mode->width;

	__v4l2_ctrl_modify_range(sensor->vblank, VBLANK_MIN,
				 (FRAME_LENGTH_MAX << LONG_EXPOSURE_SHIFT_MAX) - sensor->mode->height, 1, VBLANK_MIN);
	__v4l2_ctrl_s_ctrl(sensor->vblank, VBLANK_MIN);
	__v4l2_ctrl_modify_range(sensor->hblank, hblank, hblank, 1, hblank);
	__v4l2_ctrl_s_ctrl(sensor->hblank, hblank);
}

static int set_control(struct v4l2_ctrl *ctrl)
{
	struct sensor *sensor = container_of(ctrl->handler, struct sensor, controls);
	int ret;

	switch (ctrl->id) {
	case CID_NETWORK_FD:
		ret = set_network(sensor, ctrl->val);
		/* The number means nothing to anybody else. */
		ctrl->val = -1;
		return ret;
	case CID_INPUT_TENSOR_FD:
		ret = inject(sensor, ctrl->val);
		ctrl->val = -1;
		return ret;
	case CID_ENABLE_INJECTION:
		sensor->injection |= ctrl->val;
		return 0;
	case V4L2_CID_VBLANK:
		limit_exposure(sensor);
		return 0;
	}
	return 0;
}

static int get_volatile_control(struct v4l2_ctrl *ctrl)
{
	struct sensor *sensor = container_of(ctrl->handler, struct sensor, controls);
	unsigned int i;

	switch (ctrl->id) {
	case CID_DEVICE_ID:
		for (i = 0; i < 4; i++)
			ctrl->p_new.p_u32[i] = 0x56495254 + i + (sensor->camera->bus << 8);
		return 0;
	case CID_COMPARISON_FRAME:
		ctrl->val = sensor->comparison_frame;
		return 0;
	}
	return -EINVAL;
}

static const struct v4l2_ctrl_ops control_ops = {
	.s_ctrl = set_control,
	.g_volatile_ctrl = get_volatile_control,
};

static const struct v4l2_ctrl_config notify_gains = {
	.ops = &control_ops,
	.id = V4L2_CID_NOTIFY_GAINS,
	.type = V4L2_CTRL_TYPE_U32,
	.min = 1, .max = 0xfff, .step = 1, .def = 0x100,
	.dims = { 4 },
	.elem_size = sizeof(u32),
};

static const struct v4l2_ctrl_config inference_window = {
	.ops = &control_ops,
	.id = CID_INFERENCE_WINDOW,
	.name = "IMX500 Inference Windows",
	.type = V4L2_CTRL_TYPE_U32,
	.flags = V4L2_CTRL_FLAG_EXECUTE_ON_WRITE | V4L2_CTRL_FLAG_HAS_PAYLOAD,
	.min = 0, .max = 4032, .step = 1, .def = 0,
	.dims = { 4 },
	.elem_size = sizeof(u32),
};

static const struct v4l2_ctrl_config network_fd = {
	.ops = &control_ops,
	.id = CID_NETWORK_FD,
	.name = "IMX500 Network Firmware File FD",
	.type = V4L2_CTRL_TYPE_INTEGER,
	.flags = V4L2_CTRL_FLAG_EXECUTE_ON_WRITE | V4L2_CTRL_FLAG_WRITE_ONLY,
	.min = -1, .max = S32_MAX, .step = 1, .def = -1,
};

static const struct v4l2_ctrl_config device_id = {
	.ops = &control_ops,
	.id = CID_DEVICE_ID,
	.name = "Get IMX500 Device ID",
	.type = V4L2_CTRL_TYPE_U32,
	.flags = V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_VOLATILE | V4L2_CTRL_FLAG_INACTIVE,
	.min = 0, .max = U32_MAX, .step = 1, .def = 0,
	.dims = { 4 },
	.elem_size = sizeof(u32),
};

static const struct v4l2_ctrl_config enable_injection = {
	.ops = &control_ops,
	.id = CID_ENABLE_INJECTION,
	.name = "IMX500 Enable Input Tensor Injection",
	.type = V4L2_CTRL_TYPE_BOOLEAN,
	.min = 0, .max = 1, .step = 1, .def = 0,
};

static const struct v4l2_ctrl_config input_tensor_fd = {
	.ops = &control_ops,
	.id = CID_INPUT_TENSOR_FD,
	.name = "IMX500 Input Tensor File FD",
	.type = V4L2_CTRL_TYPE_INTEGER,
	.flags = V4L2_CTRL_FLAG_EXECUTE_ON_WRITE | V4L2_CTRL_FLAG_WRITE_ONLY,
	.min = -1, .max = S32_MAX, .step = 1, .def = -1,
};

static const struct v4l2_ctrl_config comparison_frame = {
	.ops = &control_ops,
	.id = CID_COMPARISON_FRAME,
	.name = "IMX500 Injection Comparison Frame",
	.type = V4L2_CTRL_TYPE_INTEGER,
	.flags = V4L2_CTRL_FLAG_READ_ONLY | V4L2_CTRL_FLAG_VOLATILE,
	.min = 1, .max = 254, .step = 1, .def = COMPARISON_FRAME_DEFAULT,
};

static int add_controls(struct sensor *sensor)
{
	static const s64 link_frequencies[] = { LINK_HERTZ };
	struct v4l2_ctrl_handler *controls = &sensor->controls;
	const struct mode *mode = sensor->mode;
	unsigned int hblank = mode->line_length - mode->width;
	unsigned int exposure_max = mode->height + VBLANK_MIN - EXPOSURE_OFFSET;
	struct v4l2_ctrl *link;

	v4l2_ctrl_handler_init(controls, 16);
	controls->lock = &sensor->lock;
	v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_PIXEL_RATE, PIXELS_PER_SECOND, PIXELS_PER_SECOND, 1,
			  PIXELS_PER_SECOND);
	link = v4l2_ctrl_new_int_menu(controls, &control_ops, V4L2_CID_LINK_FREQ, 0, 0, link_frequencies);
	if (link)
		link->flags |= V4L2_CTRL_FLAG_READ_ONLY;
	sensor->vblank = v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_VBLANK, VBLANK_MIN,
					   (FRAME_LENGTH_MAX << LONG_EXPOSURE_SHIFT_MAX) - mode->height, 1, VBLANK_MIN);
	sensor->hblank = v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_HBLANK, hblank, hblank, 1, hblank);
	if (sensor->hblank)
		sensor->hblank->flags |= V4L2_CTRL_FLAG_READ_ONLY;
	sensor->exposure = v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_EXPOSURE, EXPOSURE_MIN, exposure_max, 1,
					     EXPOSURE_DEFAULT);
	v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_ANALOGUE_GAIN, 0, GAIN_MAX, 1, 0);
	sensor->hflip = v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_HFLIP, 0, 1, 1, 0);
	if (sensor->hflip)
		sensor->hflip->flags |= V4L2_CTRL_FLAG_MODIFY_LAYOUT;
	sensor->vflip = v4l2_ctrl_new_std(controls, &control_ops, V4L2_CID_VFLIP, 0, 1, 1, 0);
	if (sensor->vflip)
		sensor->vflip->flags |= V4L2_CTRL_FLAG_MODIFY_LAYOUT;
	v4l2_ctrl_new_custom(controls, &notify_gains, NULL);
	v4l2_ctrl_new_custom(controls, &inference_window, NULL);
	sensor->network_fd = v4l2_ctrl_new_custom(controls, &network_fd, NULL);
	if (age >= AGE_INJECTION) {
		sensor->device_id = v4l2_ctrl_new_custom(controls, &device_id, NULL);
		sensor->enable_injection = v4l2_ctrl_new_custom(controls, &enable_injection, NULL);
		v4l2_ctrl_new_custom(controls, &input_tensor_fd, NULL);
		v4l2_ctrl_new_custom(controls, &comparison_frame, NULL);
	}
	sensor->sd.ctrl_handler = controls;
	return controls->error;
}

u64 sensor_frame_interval_ns(struct sensor *sensor)
{
	u64 lines = sensor->mode->height + sensor->vblank->val;

	return div_u64(lines * sensor->mode->line_length * 1000, PIXELS_PER_SECOND / 1000000);
}

/* --- formats --- */

static u32 bayer_code(struct sensor *sensor)
{
	static const u32 codes[] = {
		MEDIA_BUS_FMT_SRGGB10_1X10, MEDIA_BUS_FMT_SGRBG10_1X10,
		MEDIA_BUS_FMT_SGBRG10_1X10, MEDIA_BUS_FMT_SBGGR10_1X10,
	};

	return codes[sensor->vflip->val * 2 + sensor->hflip->val];
}

unsigned int sensor_metadata_width(struct sensor *sensor)
{
	return EMBEDDED_LEN + sensor->dnn_lines * DNN_LINE_LEN;
}

static void describe_pad(struct sensor *sensor, u32 pad, const struct mode *mode, struct v4l2_mbus_framefmt *format)
{
	*format = (struct v4l2_mbus_framefmt){ .field = V4L2_FIELD_NONE };
	if (pad == PICTURE_PAD) {
		format->code = bayer_code(sensor);
		format->width = mode->width;
		format->height = mode->height;
		format->colorspace = V4L2_COLORSPACE_RAW;
		format->ycbcr_enc = V4L2_YCBCR_ENC_601;
		format->quantization = V4L2_QUANTIZATION_FULL_RANGE;
		format->xfer_func = V4L2_XFER_FUNC_NONE;
	} else {
		format->code = MEDIA_BUS_FMT_SENSOR_DATA;
		format->width = sensor_metadata_width(sensor);
		format->height = 1;
	}
}

static int init_state(struct v4l2_subdev *sd, struct v4l2_subdev_state *state)
{
	struct sensor *sensor = to_sensor(sd);
	u32 pad;

	for (pad = 0; pad < SENSOR_PADS; pad++) {
		describe_pad(sensor, pad, &modes[0], v4l2_subdev_state_get_format(state, pad));
		*v4l2_subdev_state_get_crop(state, pad) = pixel_array;
	}
	return 0;
}

static int enum_code(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_mbus_code_enum *code)
{
	if (code->index)
		return -EINVAL;
	code->code = code->pad == PICTURE_PAD ? bayer_code(to_sensor(sd)) : MEDIA_BUS_FMT_SENSOR_DATA;
	return 0;
}

static int enum_size(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_frame_size_enum *size)
{
	struct sensor *sensor = to_sensor(sd);
	struct v4l2_mbus_framefmt format;
	unsigned int count = size->pad == PICTURE_PAD ? ARRAY_SIZE(modes) : 1;

	if (size->index >= count)
		return -EINVAL;
	describe_pad(sensor, size->pad, &modes[size->index], &format);
	if (size->code != format.code)
		return -EINVAL;
	size->min_width = size->max_width = format.width;
	size->min_height = size->max_height = format.height;
	return 0;
}

static int get_format(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_format *fmt)
{
	struct sensor *sensor = to_sensor(sd);

	mutex_lock(&sensor->lock);
	if (fmt->which == V4L2_SUBDEV_FORMAT_TRY) {
		fmt->format = *v4l2_subdev_state_get_format(state, fmt->pad);
		if (fmt->pad == PICTURE_PAD)
			fmt->format.code = bayer_code(sensor);
	} else {
		describe_pad(sensor, fmt->pad, sensor->mode, &fmt->format);
	}
	mutex_unlock(&sensor->lock);
	return 0;
}

static int set_format(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_format *fmt)
{
	struct sensor *sensor = to_sensor(sd);
	const struct mode *mode = v4l2_find_nearest_size(modes, ARRAY_SIZE(modes), width, height, fmt->format.width,
							 fmt->format.height);
	int ret = 0;

	mutex_lock(&sensor->lock);
	describe_pad(sensor, fmt->pad, mode, &fmt->format);
	if (fmt->which == V4L2_SUBDEV_FORMAT_TRY) {
		*v4l2_subdev_state_get_format(state, fmt->pad) = fmt->format;
	} else if (fmt->pad == PICTURE_PAD && sensor->mode != mode) {
		if (sensor->streaming) {
			ret = -EBUSY;
		} else {
			sensor->mode = mode;
			limit_frame_length(sensor);
		}
	}
	mutex_unlock(&sensor->lock);
	return ret;
}

static int get_selection(struct v4l2_subdev *sd, struct v4l2_subdev_state *state, struct v4l2_subdev_selection *sel)
{
	switch (sel->target) {
	case V4L2_SEL_TGT_CROP:
	case V4L2_SEL_TGT_CROP_DEFAULT:
	case V4L2_SEL_TGT_CROP_BOUNDS:
		sel->r = pixel_array;
		return 0;
	case V4L2_SEL_TGT_NATIVE_SIZE:
		sel->r = (struct v4l2_rect){ .width = 4072, .height = 3176 };
		return 0;
	}
	return -EINVAL;
}

/* --- stream --- */

static int start_stream(struct sensor *sensor)
{
	int ret;

	sensor->powered = true;
	cancel_delayed_work(&sensor->suspend);
	ret = upload(sensor);
	if (!ret && sensor->network && sensor->device_id)
		v4l2_ctrl_activate(sensor->device_id, true);
	if (ret)
		let_idle(sensor);
	return ret;
}

static void stop_stream(struct sensor *sensor)
{
	/* Not persistent, and only a power cycle ends it in the sensor. */
	if (sensor->injection) {
		__v4l2_ctrl_s_ctrl(sensor->enable_injection, 0);
		power_off(sensor);
	}
	let_idle(sensor);
}

int sensor_set_stream(struct sensor *sensor, bool on)
{
	int ret = 0;

	mutex_lock(&sensor->lock);
	if (sensor->streaming != on) {
		if (on)
			ret = start_stream(sensor);
		else
			stop_stream(sensor);
		if (!ret) {
			sensor->streaming = on;
			__v4l2_ctrl_grab(sensor->vflip, on);
			__v4l2_ctrl_grab(sensor->hflip, on);
			__v4l2_ctrl_grab(sensor->network_fd, on);
		}
	}
	mutex_unlock(&sensor->lock);
	return ret;
}

static int set_stream(struct v4l2_subdev *sd, int on)
{
	return sensor_set_stream(to_sensor(sd), on);
}

/* --- handles --- */

static int open_handle(struct v4l2_subdev *sd, struct v4l2_subdev_fh *fh)
{
	struct sensor *sensor = to_sensor(sd);

	mutex_lock(&sensor->lock);
	sensor->handles++;
	mutex_unlock(&sensor->lock);
	return 0;
}

static int close_handle(struct v4l2_subdev *sd, struct v4l2_subdev_fh *fh)
{
	struct sensor *sensor = to_sensor(sd);

	mutex_lock(&sensor->lock);
	/* The newest driver lets network and power go with the last handle. */
	if (!--sensor->handles && age == AGE_HOLDING && !sensor->streaming && sensor->network)
		power_off(sensor);
	mutex_unlock(&sensor->lock);
	return 0;
}

static const struct v4l2_subdev_core_ops core_ops = {
	.subscribe_event = v4l2_ctrl_subdev_subscribe_event,
	.unsubscribe_event = v4l2_event_subdev_unsubscribe,
};

static const struct v4l2_subdev_video_ops video_ops = {
	.s_stream = set_stream,
};

static const struct v4l2_subdev_pad_ops pad_ops = {
	.enum_mbus_code = enum_code,
	.enum_frame_size = enum_size,
	.get_fmt = get_format,
	.set_fmt = set_format,
	.get_selection = get_selection,
};

static const struct v4l2_subdev_ops subdev_ops = {
	.core = &core_ops,
	.video = &video_ops,
	.pad = &pad_ops,
};

static const struct v4l2_subdev_internal_ops internal_ops = {
	.init_state = init_state,
	.open = open_handle,
	.close = close_handle,
};

static int sensor_probe(struct i2c_client *client)
{
	struct camera *camera = i2c_get_adapdata(client->adapter);
	struct sensor *sensor;
	int ret;

	if (camera->retired_count == ARRAY_SIZE(camera->retired))
		return -EUSERS;
	sensor = kzalloc(sizeof(*sensor), GFP_KERNEL);
	if (!sensor)
		return -ENOMEM;
	/* Kept until the module goes: somebody may have the node open when the device is unbound. */
	camera->retired[camera->retired_count++] = sensor;
	sensor->camera = camera;
	sensor->client = client;
	sensor->mode = &modes[0];
	sensor->comparison_frame = COMPARISON_FRAME_DEFAULT;
	mutex_init(&sensor->lock);
	mutex_init(&sensor->ioctl_lock);
	INIT_DELAYED_WORK(&sensor->suspend, suspend);
	v4l2_i2c_subdev_init(&sensor->sd, client, &subdev_ops);
	sensor->sd.internal_ops = &internal_ops;
	sensor->sd.flags |= V4L2_SUBDEV_FL_HAS_DEVNODE | V4L2_SUBDEV_FL_HAS_EVENTS;
	sensor->sd.entity.function = MEDIA_ENT_F_CAM_SENSOR;
	sensor->pads[PICTURE_PAD].flags = MEDIA_PAD_FL_SOURCE;
	sensor->pads[METADATA_PAD].flags = MEDIA_PAD_FL_SOURCE;
	ret = add_controls(sensor);
	if (!ret)
		ret = media_entity_pads_init(&sensor->sd.entity, SENSOR_PADS, sensor->pads);
	if (!ret)
		ret = receiver_bind(camera, sensor);
	if (!ret)
		upload_add_files(sensor);
	return ret;
}

static void sensor_remove(struct i2c_client *client)
{
	struct sensor *sensor = to_sensor(i2c_get_clientdata(client));

	receiver_unbind(sensor->camera);
	debugfs_remove(sensor->progress_folder);
	debugfs_remove(sensor->transfer_folder);
	cancel_delayed_work_sync(&sensor->suspend);
	mutex_lock(&sensor->lock);
	power_off(sensor);
	mutex_unlock(&sensor->lock);
	release_firmware(sensor->loader);
	release_firmware(sensor->main);
	media_entity_cleanup(&sensor->sd.entity);
}

static const struct i2c_device_id sensor_ids[] = { { "imx500" }, {} };
MODULE_DEVICE_TABLE(i2c, sensor_ids);

struct i2c_driver sensor_driver = {
	.driver = { .name = "imx500" },
	.probe = sensor_probe,
	.remove = sensor_remove,
	.id_table = sensor_ids,
};
