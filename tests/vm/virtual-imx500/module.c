// SPDX-License-Identifier: GPL-2.0
/*
 * Parameters, and the devices from which everything else is made: a platform device per receiver, and an
 * I2C bus with a sensor at 0x1a per camera. Both can be unbound and bound again through sysfs.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "virtual.h"

static char *receiver = "rp1-cfe";
module_param(receiver, charp, 0444);
MODULE_PARM_DESC(receiver, "shape of the receiver: rp1-cfe (Raspberry Pi 5) or unicam (4 and older)");

static unsigned int cameras = 1;
module_param(cameras, uint, 0444);
MODULE_PARM_DESC(cameras, "how many cameras, 1 or 2, on I2C buses 10 and 11");

int age = AGE_INJECTION;
module_param(age, int, 0444);
MODULE_PARM_DESC(age, "of the imx500 driver: 1 first, 2 with injection and device id, 3 holds the network while open");

unsigned int autosuspend_ms = 5000;
module_param(autosuspend_ms, uint, 0644);
MODULE_PARM_DESC(autosuspend_ms, "idle time after which the sensor is powered off and loses its network");

bool hold;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "wait for the host's buffers instead of losing frames (for slow emulated CPUs)");

bool cached;
module_param(cached, bool, 0644);
MODULE_PARM_DESC(cached, "the camera has the network in its own flash: nothing goes over the bus");

unsigned int piece_ms;
module_param(piece_ms, uint, 0644);
MODULE_PARM_DESC(piece_ms, "time that 1 MiB takes to upload");

int fail_stage = -1;
module_param(fail_stage, int, 0644);
MODULE_PARM_DESC(fail_stage, "upload stage that fails: 0 loader, 1 main firmware, 2 network, -1 none");

int fail_errno = EREMOTEIO;
module_param(fail_errno, int, 0644);
MODULE_PARM_DESC(fail_errno, "error number with which it fails");

int stall_stage = -1;
module_param(stall_stage, int, 0644);
MODULE_PARM_DESC(stall_stage, "upload stage that stalls, -1 none");

unsigned int stall_ms;
module_param(stall_ms, uint, 0644);
MODULE_PARM_DESC(stall_ms, "for how long it stalls");

enum shape shape;

static LIST_HEAD(all_cameras);
static struct platform_device *receivers[2];

static int bus_xfer(struct i2c_adapter *adapter, struct i2c_msg *messages, int count)
{
	/* Registers are not played: the driver's two ends meet above them. */
	return -ENXIO;
}

static u32 bus_functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C;
}

static const struct i2c_algorithm bus_algorithm = {
	.master_xfer = bus_xfer,
	.functionality = bus_functionality,
};

static int add_bus(struct camera *camera)
{
	const struct i2c_board_info sensor = { I2C_BOARD_INFO("imx500", 0x1a) };
	int ret;

	camera->adapter.owner = THIS_MODULE;
	camera->adapter.algo = &bus_algorithm;
	camera->adapter.nr = camera->bus;
	camera->adapter.dev.parent = &camera->pdev->dev;
	snprintf(camera->adapter.name, sizeof(camera->adapter.name), "virtual-imx500-%u", camera->bus);
	i2c_set_adapdata(&camera->adapter, camera);
	ret = i2c_add_numbered_adapter(&camera->adapter);
	if (ret)
		return ret;
	camera->client = i2c_new_client_device(&camera->adapter, &sensor);
	if (IS_ERR(camera->client)) {
		i2c_del_adapter(&camera->adapter);
		return PTR_ERR(camera->client);
	}
	return 0;
}

static void remove_bus(struct camera *camera)
{
	i2c_unregister_device(camera->client);
	i2c_del_adapter(&camera->adapter);
}

static int receiver_probe(struct platform_device *pdev)
{
	struct camera *camera = kzalloc(sizeof(*camera), GFP_KERNEL);
	int ret;

	if (!camera)
		return -ENOMEM;
	camera->pdev = pdev;
	camera->bus = 10 + max(pdev->id, 0);
	mutex_init(&camera->lock);
	mutex_init(&camera->frame_lock);
	spin_lock_init(&camera->buffers_lock);
	init_waitqueue_head(&camera->changed);
	list_add(&camera->list, &all_cameras);
	platform_set_drvdata(pdev, camera);
	ret = receiver_add(camera);
	if (ret)
		return ret;
	ret = add_bus(camera);
	if (ret)
		receiver_remove(camera);
	return ret;
}

static void receiver_remove_device(struct platform_device *pdev)
{
	struct camera *camera = platform_get_drvdata(pdev);

	remove_bus(camera);
	receiver_remove(camera);
}

static struct platform_driver receiver_driver = {
	.driver = { .name = "rp1-cfe" },
	.probe = receiver_probe,
	.remove = receiver_remove_device,
};

static void free_cameras(void)
{
	struct camera *camera, *next;
	unsigned int i;

	list_for_each_entry_safe(camera, next, &all_cameras, list) {
		for (i = 0; i < camera->retired_count; i++) {
			v4l2_ctrl_handler_free(&camera->retired[i]->controls);
			/* Set by a call that was under way when the sensor was unbound. */
			vfree(camera->retired[i]->network);
			kfree(camera->retired[i]);
		}
		kfree(camera);
	}
}

static int __init virtual_imx500_init(void)
{
	unsigned int i;
	int ret;

	if (!strcmp(receiver, "rp1-cfe"))
		shape = SHAPE_RP1_CFE;
	else if (!strcmp(receiver, "unicam"))
		shape = SHAPE_UNICAM;
	else
		return -EINVAL;
	if (cameras < 1 || cameras > ARRAY_SIZE(receivers) || age < AGE_FIRST || age > AGE_HOLDING)
		return -EINVAL;

	receiver_driver.driver.name = receiver;
	ret = i2c_add_driver(&sensor_driver);
	if (ret)
		return ret;
	ret = platform_driver_register(&receiver_driver);
	if (ret)
		goto no_receiver;
	for (i = 0; i < cameras; i++) {
		receivers[i] = platform_device_register_simple(receiver, i, NULL, 0);
		if (IS_ERR(receivers[i])) {
			ret = PTR_ERR(receivers[i]);
			while (i--)
				platform_device_unregister(receivers[i]);
			platform_driver_unregister(&receiver_driver);
			goto no_receiver;
		}
	}
	return 0;

no_receiver:
	i2c_del_driver(&sensor_driver);
	free_cameras();
	return ret;
}

static void __exit virtual_imx500_exit(void)
{
	unsigned int i;

	for (i = 0; i < cameras; i++)
		platform_device_unregister(receivers[i]);
	platform_driver_unregister(&receiver_driver);
	i2c_del_driver(&sensor_driver);
	free_cameras();
}

module_init(virtual_imx500_init);
module_exit(virtual_imx500_exit);
MODULE_DESCRIPTION("Virtual Sony IMX500 behind a virtual Raspberry Pi receiver, for tests of user space");
MODULE_LICENSE("GPL");
