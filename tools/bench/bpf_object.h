// SPDX-License-Identifier: GPL-2.0-or-later
// BPF objects: the helper objects embedded in this program, and files. RAII; throws std::runtime_error.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace synward::bench {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

// The helper objects (bpf/*.bpf.c), compiled in.
enum class Helper { kFlood, kTraffic, kWire, kWrapper };

class BpfObject {
  public:
    using Prepare = std::function<void(bpf_object*)>;  // between open and load

    static BpfObject embedded(Helper helper);
    static BpfObject file(const std::string& path, const Prepare& prepare = {});

    bpf_object* get() const { return object_.get(); }
    int program(const std::string& name) const;  // by name or by section; file descriptor stays ours
    int map(const std::string& name) const;
    bool has_map(const std::string& name) const;

    // Value of element `index` of an array map.
    template <typename Value>
    void store(const std::string& name, uint32_t index, const Value& value) const {
        store_bytes(name, index, &value);
    }
    template <typename Value>
    void fill_per_cpu(const std::string& name, uint32_t index, const std::function<Value(int)>& make) const {
        std::vector<Value> values;
        for (int cpu = 0; cpu < libbpf_num_possible_cpus(); ++cpu) values.push_back(make(cpu));
        store_bytes(name, index, values.data());
    }
    // Of every possible CPU.
    template <typename Value>
    std::vector<Value> per_cpu(const std::string& name, uint32_t index) const {
        std::vector<Value> values(static_cast<size_t>(libbpf_num_possible_cpus()));
        load_bytes(name, index, values.data());
        return values;
    }

  private:
    void store_bytes(const std::string& name, uint32_t index, const void* value) const;
    void load_bytes(const std::string& name, uint32_t index, void* value) const;
    void load(const std::string& name);

    std::unique_ptr<bpf_object, void (*)(bpf_object*)> object_{nullptr, bpf_object__close};
};

// Sends libbpf's messages to stderr only when `verbose`.
void set_libbpf_messages(bool verbose);

}  // namespace synward::bench
