// SPDX-License-Identifier: GPL-2.0-or-later
// Writes what the chains decide into a file that lib/decide/trace.h reads. The
// workers fill queues of their own; a thread empties them, so that a disk that
// hangs holds up nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/worker_queue.h"
#include "lib/decide/config.h"
#include "lib/decide/trace.h"
#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

// Of one chain. The thread that decides writes, and only while on(): it neither waits,
// allocates nor makes a system call. What finds no room is counted.
class TraceQueue {
  public:
    static constexpr std::size_t size = 4096;

    [[nodiscard]] bool on() const { return on_.load(std::memory_order_relaxed); }
    void push(const FlowEvent& event, std::uint64_t now, const Decision& decision, bool flows_read) {
        entries_.push(trace_entry(event, now, decision, flows_read));
    }
    // Nothing will be pushed any more. After the last push, by whoever joined its thread.
    void close() { closed_.store(true, std::memory_order_release); }

  private:
    friend class Recorder;
    WorkerQueue<TraceEntry, size> entries_;
    std::atomic<bool> on_{false};
    std::atomic<bool> closed_{false};
};

class Recorder {
  public:
    struct Status {
        std::string file;
        std::uint64_t events = 0;
        std::uint64_t bytes = 0;
        std::uint64_t limit = 0;
        std::uint64_t lost = 0;  // found no room in a queue
        bool full = false;       // the limit was reached: nothing more is written
        std::string problem;     // why nothing more is written otherwise
        [[nodiscard]] bool ended() const { return full || !problem.empty(); }
    };

    // Makes the file, for its owner alone. A recording with events that is there becomes FILE.old;
    // code `config` for anything else that is there.
    [[nodiscard]] static Result<std::unique_ptr<Recorder>> start(const RecordConfig& config);
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    // Writes what is left.
    ~Recorder();

    // One more chain, from now on. Its queue may have been another recorder's that is gone.
    void add(std::shared_ptr<TraceQueue> queue);
    [[nodiscard]] Status status() const;

  private:
    struct Source {
        std::shared_ptr<TraceQueue> queue;
        std::optional<std::uint16_t> chain;  // from its first event on
        std::uint64_t lost = 0;              // of the queue, as far as it was told
    };
    Recorder(RecordConfig config, Descriptor file, Descriptor stop);
    void run();
    void collect();
    void drain(Source& source);
    bool append(const std::string& line);
    void write_out();
    void end(std::string problem);

    const RecordConfig config_;
    Descriptor file_;
    Descriptor stop_;
    mutable std::mutex mutex_;
    std::vector<Source> sources_;
    std::uint32_t chains_ = 0;
    std::string problem_;
    bool ended_ = false;
    std::string buffer_;         // the thread's
    std::uint64_t written_ = 0;  // bytes of the file
    std::atomic<std::uint64_t> events_{0};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<bool> full_{false};
    std::thread thread_;
};

}  // namespace synward
