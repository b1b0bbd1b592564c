// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf_object.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <stdexcept>

// The assembler includes the objects, so that the program is one file.
#define EMBED(name, path)                                                                                 \
    asm(".section .rodata\n.balign 16\n.global bench_" #name "_begin\nbench_" #name                       \
        "_begin:\n.incbin \"" path "\"\n.global bench_" #name "_end\nbench_" #name "_end:\n.previous\n"); \
    extern "C" const unsigned char bench_##name##_begin[], bench_##name##_end[];

EMBED(flood, BENCH_OBJECTS "/flood.bpf.o")
EMBED(traffic, BENCH_OBJECTS "/traffic.bpf.o")
EMBED(wire, BENCH_OBJECTS "/wire.bpf.o")
EMBED(wrapper, BENCH_OBJECTS "/wrapper.bpf.o")

namespace synward::bench {
namespace {

bool print_messages = false;

int print(libbpf_print_level level, const char* format, va_list arguments) {
    if (!print_messages || level == LIBBPF_DEBUG) return 0;
    return vfprintf(stderr, format, arguments);
}

struct Image {
    const unsigned char* begin;
    size_t size;
    const char* name;
};

Image image_of(Helper helper) {
    const auto image = [](const unsigned char* begin, const unsigned char* end, const char* name) {
        return Image{begin, static_cast<size_t>(end - begin), name};
    };
    switch (helper) {
        case Helper::kFlood:
            return image(bench_flood_begin, bench_flood_end, "bench_flood");
        case Helper::kTraffic:
            return image(bench_traffic_begin, bench_traffic_end, "bench_traffic");
        case Helper::kWire:
            return image(bench_wire_begin, bench_wire_end, "bench_wire");
        default:
            return image(bench_wrapper_begin, bench_wrapper_end, "bench_wrapper");
    }
}

}  // namespace

void set_libbpf_messages(bool verbose) {
    print_messages = verbose;
    libbpf_set_print(print);
}

Fd::~Fd() {
    if (fd_ >= 0) close(fd_);
}

BpfObject BpfObject::embedded(Helper helper) {
    const Image image = image_of(helper);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = image.name);
    BpfObject result;
    result.object_.reset(bpf_object__open_mem(image.begin, image.size, &options));
    result.load(image.name);
    return result;
}

BpfObject BpfObject::file(const std::string& path, const Prepare& prepare) {
    BpfObject result;
    result.object_.reset(bpf_object__open_file(path.c_str(), nullptr));
    if (result.object_ && prepare) prepare(result.object_.get());
    result.load(path);
    return result;
}

void BpfObject::load(const std::string& name) {
    if (!object_)
        throw std::runtime_error(fmt::format("cannot open the BPF object {}: {}", name, strerror(errno)));
    if (const int error = bpf_object__load(object_.get()); error != 0) {
        const char* hint = error == -EPERM ? "; run as root" : "; --verbose shows what the verifier said";
        throw std::runtime_error(
            fmt::format("cannot load the BPF object {}: {}{}", name, strerror(-error), hint));
    }
}

int BpfObject::program(const std::string& name) const {
    bpf_program* program;
    bpf_object__for_each_program(program, object_.get()) {
        if (name == bpf_program__name(program) || name == bpf_program__section_name(program))
            return bpf_program__fd(program);
    }
    throw std::runtime_error(
        fmt::format("no program or section '{}' in {}", name, bpf_object__name(object_.get())));
}

int BpfObject::map(const std::string& name) const {
    const int fd = bpf_object__find_map_fd_by_name(object_.get(), name.c_str());
    if (fd < 0)
        throw std::runtime_error(fmt::format("no map '{}' in {}", name, bpf_object__name(object_.get())));
    return fd;
}

bool BpfObject::has_map(const std::string& name) const {
    return bpf_object__find_map_by_name(object_.get(), name.c_str()) != nullptr;
}

void BpfObject::load_bytes(const std::string& name, uint32_t index, void* value) const {
    if (bpf_map_lookup_elem(map(name), &index, value) != 0)
        throw std::runtime_error("cannot read map " + name);
}

void BpfObject::store_bytes(const std::string& name, uint32_t index, const void* value) const {
    if (bpf_map_update_elem(map(name), &index, value, BPF_ANY) != 0)
        throw std::runtime_error(fmt::format("cannot write map {}: {}", name, strerror(errno)));
}

}  // namespace synward::bench
