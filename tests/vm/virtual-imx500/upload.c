// SPDX-License-Identifier: GPL-2.0
/*
 * What the driver does at stream-on before the first frame, and the two files that tell how far it is.
 *
 *   loader --> main firmware --> registers of the network --> network
 *
 * Each image goes in pieces of 1 MiB. Parameters say how long a piece takes, in which stage it fails with
 * which errno, and in which it stalls.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>

#include "virtual.h"

enum { STAGE_LOADER, STAGE_MAIN, STAGE_NETWORK };

#define STEPS_OF_A_PIECE 16

static void transfer(struct sensor *sensor, size_t len)
{
	unsigned int step;

	for (step = 1; step <= STEPS_OF_A_PIECE; step++) {
		if (!cached)
			WRITE_ONCE(sensor->piece_done, len * step / STEPS_OF_A_PIECE);
		if (piece_ms)
			msleep(max(1U, piece_ms / STEPS_OF_A_PIECE));
	}
}

static int upload_image(struct sensor *sensor, unsigned int stage, const u8 *image, size_t len)
{
	size_t valid = network_valid_bytes(image, len), at;

	if (!valid)
		return -EINVAL;
	/* The sensor refuses the request itself, or does not answer it. */
	if (fail_stage == stage && (fail_errno == EBUSY || fail_errno == EAGAIN))
		return -fail_errno;
	WRITE_ONCE(sensor->done, 0);
	WRITE_ONCE(sensor->stage, stage);
	for (at = 0; at < valid; at += SZ_1M) {
		size_t piece = min_t(size_t, valid - at, SZ_1M);

		if (piece % 4)
			return -EINVAL;
		transfer(sensor, piece);
		if (stall_stage == stage && !at)
			msleep(stall_ms);
		if (fail_stage == stage && fail_errno != EREMOTEIO)
			return -fail_errno;
		WRITE_ONCE(sensor->done, at + piece);
		WRITE_ONCE(sensor->piece_done, 0);
	}
	/* The sensor judges what it was given. */
	if (fail_stage == stage)
		return -fail_errno;
	WRITE_ONCE(sensor->done, len);
	return 0;
}

/* The caller holds the sensor's lock. */
int upload(struct sensor *sensor)
{
	struct device *dev = &sensor->client->dev;
	int ret;

	if (!sensor->network)
		return 0;
	if (!sensor->loader) {
		ret = request_firmware(&sensor->loader, "imx500_loader.fpk", dev);
		if (ret)
			return ret;
	}
	if (!sensor->main) {
		ret = request_firmware(&sensor->main, "imx500_firmware.fpk", dev);
		if (ret)
			return ret;
	}
	if (!sensor->firmware_written) {
		ret = upload_image(sensor, STAGE_LOADER, sensor->loader->data, sensor->loader->size);
		if (!ret)
			ret = upload_image(sensor, STAGE_MAIN, sensor->main->data, sensor->main->size);
		if (ret) {
			dev_err(dev, "failed to load the firmware: %d\n", ret);
			return ret;
		}
		sensor->firmware_written = true;
	}
	if (!sensor->network_written) {
		ret = network_check_registers(sensor->network, sensor->network_len);
		if (!ret)
			ret = upload_image(sensor, STAGE_NETWORK, sensor->network, sensor->network_len);
		if (ret) {
			dev_err(dev, "failed to load the network: %d\n", ret);
			return ret;
		}
		sensor->network_written = true;
	}
	return 0;
}

static int fw_progress_show(struct seq_file *file, void *unused)
{
	struct sensor *sensor = file->private;

	/* The driver gives the network's size in every stage. */
	seq_printf(file, "%u %zu %zu\n", READ_ONCE(sensor->stage), READ_ONCE(sensor->done),
		   READ_ONCE(sensor->network_len));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(fw_progress);

static int transfer_progress_show(struct seq_file *file, void *unused)
{
	struct sensor *sensor = file->private;

	seq_printf(file, "%zu\n", READ_ONCE(sensor->piece_done));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(transfer_progress);

void upload_add_files(struct sensor *sensor)
{
	char name[32];

	snprintf(name, sizeof(name), "imx500-fw:%s", dev_name(&sensor->client->dev));
	sensor->progress_folder = debugfs_create_dir(name, NULL);
	debugfs_create_file("fw_progress", 0444, sensor->progress_folder, sensor, &fw_progress_fops);
	/* The bridge is at another address of the same bus. */
	snprintf(name, sizeof(name), "rp2040-spi:%u-0040", sensor->camera->bus);
	sensor->transfer_folder = debugfs_create_dir(name, NULL);
	debugfs_create_file("transfer_progress", 0444, sensor->transfer_folder, sensor, &transfer_progress_fops);
}
